# kind: bystander
# tries: nothing: a warning on stderr
# where: in place of the answer to double

import sys, warnings
warnings.warn('careful')
print('noise', file=sys.stderr)
def double(x):
    return 2 * x
