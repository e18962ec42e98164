# kind: network
# tries: connect to an abstract socket
# where: in a cell behind all others

import socket
socket.socket(socket.AF_UNIX).connect('\0ABSTRACT')
print('REACHED')
