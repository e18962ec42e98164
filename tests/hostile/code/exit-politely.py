# kind: stopping
# tries: leave by sys.exit
# where: in a cell behind all others

import sys
sys.exit(3)
