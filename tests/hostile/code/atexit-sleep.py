# kind: stopping
# tries: sleep when the process should end
# where: in a cell behind all others

import atexit, time
atexit.register(time.sleep, 1000)
