# kind: exhaustion
# tries: make files without end
# where: in a cell behind all others

import time
start = time.time()
i = 0
while time.time() - start < 1:
    open(f'/dev/shm/{i}', 'w').close(); i += 1
