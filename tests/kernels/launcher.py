"""What is started in place of a kernel: it asks the warm process for one, and ends when that does.

    python -IS launcher.py SOCKET ARGUMENT…

The kernel gets these arguments, and this process's folder, environment, and standard streams. A
signal to this process goes to the kernel; when this process ends, however it does, so will that.
"""

import json
import os
import signal
import socket
import sys


def main() -> int:
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(sys.argv[1])
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: line.send(bytes([number])))
        wanted = {"argv": sys.argv[2:], "cwd": os.getcwd(), "environment": dict(os.environ)}
        message = json.dumps(wanted).encode() + b"\n"
        sent = socket.send_fds(line, [message], [0, 1, 2])
        line.sendall(message[sent:])
        status = line.recv(1)
    return status[0] if status else 1


if __name__ == "__main__":
    sys.exit(main())
