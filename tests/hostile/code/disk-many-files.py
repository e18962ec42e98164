# kind: exhaustion
# tries: fill the disk with many files
# where: in a cell behind all others

for i in range(10_000):
    open(f'/tmp/{i}', 'wb').write(bytes(1 << 20))
