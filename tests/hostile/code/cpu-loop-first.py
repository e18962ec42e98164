# kind: exhaustion
# tries: compute for ever, at the beginning
# where: in place of the answer to double
# loses: double half
# says: ran longer than

while True: pass
def double(x):
    return 2 * x
