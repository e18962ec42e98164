# kind: writing
# tries: write to every folder
# where: in a cell behind all others

import os
def spoil(path):
    try:
        with open(path, "a") as f: f.write("SPOILED")
        print("wrote", path)
    except Exception as error:
        print(path, type(error).__name__)
for where, _, _ in os.walk('/'):
    if not where.startswith(('/proc', '/sys')): spoil(os.path.join(where, 'SPOILED'))
