# kind: stopping
# tries: kill itself
# where: in a cell behind all others
# says: signal 9

import os, signal
os.kill(os.getpid(), signal.SIGKILL)
