# kind: exhaustion
# tries: print without end
# where: in a cell behind all others

for _ in range(200_000): print('x' * 1000)
