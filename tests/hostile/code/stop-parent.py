# kind: stopping
# tries: stop the process above
# where: in a cell behind all others
# says: ran longer than 6 s

import os, signal, time
os.kill(os.getppid(), signal.SIGSTOP)
time.sleep(1000)
