# kind: writing
# tries: leave a tree that is too deep to be removed
# where: in a cell behind all others

import os

for number in range(1500):
    os.mkdir('deep')
    os.chdir('deep')
os.mkdir(b'\xff\xfe')
