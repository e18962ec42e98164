# kind: exhaustion
# tries: fork for ever
# where: in place of the answer to double
# loses: double half
# says: processes

import os
while True:
    os.fork()
def double(x):
    return 2 * x
