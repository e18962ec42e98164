# kind: writing
# tries: leave modules and files outside of its own places
# where: in a cell behind all others

import os, sys

for place in {'/', '/dev', '/etc', '/home', '/inside', *sys.path}:
    if place.startswith(('/tmp', os.getcwd())):
        continue  # its own, and emptied
    for name in ('SPOILED', 'sched.py', 'ld.so.preload'):
        try:
            with open(os.path.join(place, name), 'x') as file:
                file.write('raise SystemExit')
            print('REACHED', place, name)
        except OSError:
            pass
