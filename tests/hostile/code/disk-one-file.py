# kind: exhaustion
# tries: fill the disk with one file
# where: in a cell behind all others

with open('big', 'wb') as f:
    while True: f.write(bytes(1 << 20))
