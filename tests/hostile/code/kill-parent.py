# kind: stopping
# tries: kill the process above
# where: in a cell behind all others

import os, signal
os.kill(os.getppid(), signal.SIGKILL)
