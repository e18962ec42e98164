# kind: network
# tries: open a TCP connection
# where: in a cell behind all others

import socket
socket.create_connection(('127.0.0.1', PORT), timeout=2).send(b'hello')
