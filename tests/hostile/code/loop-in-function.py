# kind: exhaustion
# tries: a function that never returns
# where: in place of the answer to double
# loses: double half
# says: ran longer than

def double(x):
    while True: pass
