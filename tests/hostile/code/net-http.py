# kind: network
# tries: fetch a page
# where: in a cell behind all others

import urllib.request
urllib.request.urlopen('http://127.0.0.1:PORT/', timeout=2)
