# kind: reading
# tries: read other processes' environments
# where: in a cell behind all others

def show(path):
    try:
        print(path, open(path, errors="replace").read()[:100_000])
    except Exception as error:
        print(path, type(error).__name__)
import os
for p in os.listdir('/proc'):
    if p.isdigit(): show(f'/proc/{p}/environ'); show(f'/proc/{p}/cmdline')
