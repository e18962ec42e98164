# kind: bystander
# tries: leave pipes that do not wait, and hold little, to the next submission
# where: in a cell behind all others

import fcntl, os, stat

for fd in range(3, 256):
    try:
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            fcntl.fcntl(fd, 1031, 4096)  # F_SETPIPE_SZ
            fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK)
    except OSError:
        pass
