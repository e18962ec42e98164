# kind: reading
# tries: read secrets from the environment
# where: in a cell behind all others

import os
print(dict(os.environ))
