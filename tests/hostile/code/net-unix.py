# kind: network
# tries: connect to a socket of the system's
# where: in a cell behind all others

import os, socket
for p in ('/run/dbus/system_bus_socket', '/var/run/docker.sock', 'SOCKET'):
    try: socket.socket(socket.AF_UNIX).connect(p); print('REACHED', p)
    except OSError as e: print(p, e.errno)
