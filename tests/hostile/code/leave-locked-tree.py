# kind: writing
# tries: leave a locked tree where the next notebook comes to lie
# where: in a cell behind all others

import os

os.remove('97_hostile.ipynb')
os.makedirs('97_hostile.ipynb/b/c/d')
for folder in ('b/c/d', 'b/c', 'b', ''):
    os.chmod('97_hostile.ipynb/' + folder, 0)
