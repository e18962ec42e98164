# kind: network
# tries: offer a service to the world
# where: in a cell behind all others

import socket
s = socket.socket(); s.bind(('0.0.0.0', 0)); s.listen()
print('listening, alone')
