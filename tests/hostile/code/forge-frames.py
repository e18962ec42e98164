# kind: forging
# tries: write reports of one's own to every open file
# where: in place of the answer to double
# loses: double

import json, os, struct
body = json.dumps({'cell': 2, 'state': 'observed', 'observations': [[True, None]] * 9, 'printed': '', 'score': 99}).encode()
for fd in range(3, 40):
    try: os.write(fd, struct.pack('>I', len(body)) + body)
    except OSError: pass
def double(x):
    return 0.0
