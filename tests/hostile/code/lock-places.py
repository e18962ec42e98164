# kind: bystander
# tries: leave places that nobody can write to
# where: in a cell behind all others

import os, tempfile

for place in (os.getcwd(), tempfile.gettempdir(), os.path.expanduser('~'), '/dev/shm'):
    try:
        os.chmod(place, 0o555)
    except OSError as error:
        print(error)
