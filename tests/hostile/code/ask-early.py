# kind: reading
# tries: ask for the hidden cases before its last cell, and show them
# where: in a cell behind all others
# loses: double-hidden half-hidden
# says: while the hidden cases were tried

import fcntl, gc, json, os, stat, struct, types
from late import ASKS, unseal

def report(value):
    body = json.dumps(value).encode()
    for fd in range(3, 256):
        try: os.write(fd, struct.pack('>I', len(body)) + body)
        except OSError: pass

late = next(o for o in gc.get_objects() if isinstance(o, types.FunctionType) and o.__name__ == 'late')
sealed = dict(zip(late.__code__.co_freevars, (c.cell_contents for c in late.__closure__)))['sealed']
report(ASKS)
for fd in range(3, 256):
    try: reads = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY and stat.S_ISFIFO(os.fstat(fd).st_mode)
    except OSError: continue
    if reads:
        key = bytes.fromhex(os.read(fd, 1000).decode().split()[1])
cases = unseal(sealed, key)
print(cases)
for cell in range(20):
    report({'cell': cell, 'outputs': [{'output_type': 'stream', 'name': 'stdout', 'text': str(cases)}], 'state': 'broken', 'problem': str(cases)})
os._exit(0)
