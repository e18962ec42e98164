# kind: stopping
# tries: live on in a thread whose process looks dead, and report for others
# where: in a cell behind all others

import ctypes, json, os, struct, threading, time

if os.fork() == 0:
    links = {int(f): f'/proc/self/fd/{f}' for f in os.listdir('/proc/self/fd')}
    pipes = [fd for fd, link in links.items() if os.path.exists(link) and os.readlink(link).startswith('pipe')]
    here = set(os.listdir('/proc'))
    def later():
        end = time.time() + 4
        while time.time() < end and not any(p.isdigit() for p in set(os.listdir('/proc')) - here):
            time.sleep(0.001)
        for n in range(40):
            body = json.dumps({'cell': n, 'state': 'missing'}).encode()
            for fd in pipes:
                os.write(fd, struct.pack('>I', len(body)) + body)
        os._exit(0)
    threading.Thread(target=later).start()
    ctypes.CDLL(None).syscall(60, 0)  # ends this thread alone
time.sleep(0.2)
