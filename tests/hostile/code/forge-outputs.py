# kind: forging
# tries: report outputs that are none
# where: in a cell behind all others

import json, os, struct

odd = [
    {'output_type': 'stream', 'name': 5, 'text': {}},
    {'output_type': 'evil'}, {'output_type': [1]},
    {'output_type': 'stream', 'name': 'stdout', 'text': [1, 2]},
    {'output_type': 'stream', 'name': 'stdout', 'text': '\ud800'},
    {'output_type': 'error', 'ename': 1, 'evalue': 2, 'traceback': 3},
    {'output_type': 'display_data', 'data': {'text/html': [[[]]]}, 'metadata': {'x': [[{}]]}, 'more': 1},
]
for n in range(40):
    for frame in (
        {'cell': n, 'outputs': [odd[n % len(odd)]]},
        {'cell': n, 'state': 'observed', 'observations': [[7, 5]], 'printed': ''},
        {'cell': n, 'state': 'observed', 'observations': [[7, [1]]], 'printed': {}},
    ):
        body = json.dumps(frame).encode()
        for fd in map(int, os.listdir('/proc/self/fd')):
            try:
                if os.readlink(f'/proc/self/fd/{fd}').startswith('pipe'):
                    os.write(fd, struct.pack('>I', len(body)) + body)
            except OSError:
                pass
