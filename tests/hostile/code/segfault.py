# kind: stopping
# tries: crash the interpreter
# where: in a cell behind all others
# says: signal 11

import ctypes
ctypes.string_at(0)
