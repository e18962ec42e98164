# kind: reading
# tries: read what the grader sent
# where: in a cell behind all others

import os

for place in ('/jobs', '/inside/jobs'):
    if os.path.exists(place):
        print('REACHED', place)
for fd in range(3):
    if os.readlink(f'/proc/self/fd/{fd}') != '/dev/null':
        print('REACHED', fd)
