# kind: stopping
# tries: leave a process that outlives grading
# where: in a cell behind all others

import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execvp('sleep', ['sleep', 'MARKER'])
    os._exit(0)
