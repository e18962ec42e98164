# kind: stopping
# tries: ignore the alarm of a check
# where: in place of the answer to double
# loses: double half
# says: ran longer than

import signal
def double(x):
    signal.setitimer(signal.ITIMER_REAL, 0)
    while True: pass
