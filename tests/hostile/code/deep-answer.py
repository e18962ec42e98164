# kind: exhaustion
# tries: answer with a deep object
# where: in place of the answer to double
# loses: double

def double(x):
    a = []
    for _ in range(100_000): a = [a]
    return a
