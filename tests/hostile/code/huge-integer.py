# kind: exhaustion
# tries: answer with a huge integer
# where: in place of the answer to double
# loses: double

def double(x):
    return 1 << 1_000_000
