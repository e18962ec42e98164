# kind: writing
# tries: become root of a namespace of its own
# where: in a cell behind all others

import ctypes

CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
if ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0:
    print('REACHED a new namespace')
