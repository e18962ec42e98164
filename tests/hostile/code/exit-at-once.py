# kind: stopping
# tries: end the process
# where: in a cell behind all others
# says: ended by itself

import os
os._exit(0)
