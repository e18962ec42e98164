# kind: exhaustion
# tries: use memory that several processes share
# where: in a cell behind all others
# says: more than 1 GB

import ctypes, mmap, os, time

for number in range(4):
    if os.fork() == 0:
        memory = mmap.mmap(-1, 400 << 20)
        ctypes.memset(ctypes.addressof(ctypes.c_char.from_buffer(memory)), 1, len(memory))
        time.sleep(60)
time.sleep(60)
