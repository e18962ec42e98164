# kind: stopping
# tries: stop itself
# where: in a cell behind all others
# says: ran longer than

import os, signal
os.kill(os.getpid(), signal.SIGSTOP)
