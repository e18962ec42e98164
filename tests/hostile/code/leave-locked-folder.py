# kind: writing
# tries: leave a folder that cannot be removed
# where: in a cell behind all others

import os
os.makedirs('/tmp/a/b/c')
open('/tmp/a/b/c/d', 'w').write('x')
for d in ('/tmp/a/b/c', '/tmp/a/b', '/tmp/a'): os.chmod(d, 0)
