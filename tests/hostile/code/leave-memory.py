# kind: exhaustion
# tries: leave memory that outlives its process
# where: in a cell behind all others

import ctypes

libc = ctypes.CDLL(None)
if libc.shmget(0, 300 << 20, 0o1666) >= 0 or libc.memfd_create(b'left', 0) >= 0:
    print('REACHED shared memory')
