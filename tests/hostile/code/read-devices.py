# kind: reading
# tries: open the machine's disks
# where: in a cell behind all others

import os
print(os.listdir('/dev'))
for d in os.listdir('/dev'):
    if d.startswith(('sd', 'vd', 'nvme', 'mem')): print(open('/dev/' + d, 'rb').read(10))
