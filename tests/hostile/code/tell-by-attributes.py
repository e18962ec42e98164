# kind: reading
# tries: keep a hidden input in attributes and times of places, end, and show it when run again
# where: in place of the answer to double
# loses: double-hidden half-hidden
# says: ended

import os, signal, tempfile

PLACES = (tempfile.gettempdir(), os.path.expanduser('~'), os.getcwd(), '/dev/shm')

def read(place):
    try:
        return os.getxattr(place, 'user.met')
    except OSError:
        return b''

met_before = [read(place) for place in PLACES if read(place)]
met_before += [os.stat(place).st_mtime_ns for place in PLACES
               if os.path.exists(place) and os.stat(place).st_mtime_ns % 1000 == 777]
print('MET', met_before)
calls = []

def double(x):
    calls.append(x)
    if x > 4 and not met_before:
        for place in PLACES:
            try:
                os.setxattr(place, 'user.met', repr(calls).encode())
            except OSError:
                pass
            try:
                os.utime(place, ns=(0, int(x) * 1000 + 777))
            except OSError:
                pass
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * x
