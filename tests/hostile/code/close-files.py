# kind: stopping
# tries: close every open file
# where: in a cell behind all others

import os
for fd in range(3, 256):
    try: os.close(fd)
    except OSError: pass
