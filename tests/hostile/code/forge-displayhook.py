# kind: forging
# tries: show a number as the result of a check
# where: in place of the answer to double
# loses: double

import sys
def double(x):
    sys.displayhook(3.0)
    return 0.0
