# kind: writing
# tries: write through a link out of the folder
# where: in a cell behind all others

import os
def spoil(path):
    try:
        with open(path, "a") as f: f.write("SPOILED")
        print("wrote", path)
    except Exception as error:
        print(path, type(error).__name__)
os.symlink('/usr/bin', 'out')
spoil('out/SPOILED')
os.symlink('/etc/passwd', 'passwd')
spoil('passwd')
