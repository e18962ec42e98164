# kind: stopping
# tries: kill every process
# where: in a cell behind all others

import os, signal
os.kill(-1, signal.SIGKILL)
