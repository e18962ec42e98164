# kind: exhaustion
# tries: a result with a huge text
# where: in a cell behind all others

class Big:
    def __repr__(self): return 'x' * (200 << 20)
Big()
