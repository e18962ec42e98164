# kind: stopping
# tries: stop the process above
# where: in a cell behind all others
# says: ended the sandbox

import os, signal, time
os.kill(os.getppid(), signal.SIGSTOP)
time.sleep(1000)
