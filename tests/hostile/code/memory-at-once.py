# kind: exhaustion
# tries: take more memory than there is
# where: in a cell behind all others

x = bytearray(64 << 30)
