# kind: reading
# tries: read the memory of the process above
# where: in a cell behind all others

import os
pid = os.getppid()
for line in open(f'/proc/{pid}/maps'):
    a, b = (int(x, 16) for x in line.split()[0].split('-'))
    with open(f'/proc/{pid}/mem', 'rb') as f:
        f.seek(a); data = f.read(min(b - a, 1 << 20))
        if b'CANARY-' in data: print(data)
