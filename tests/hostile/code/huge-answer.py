# kind: exhaustion
# tries: answer with a huge object
# where: in place of the answer to double
# loses: double

def double(x):
    return list(range(5_000_000))
