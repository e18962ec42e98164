# kind: exhaustion
# tries: take memory bit by bit
# where: in a cell behind all others

x = []
while True: x.append(bytearray(50 << 20))
