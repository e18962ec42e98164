# kind: bystander
# tries: nothing: an error behind the answer
# where: in place of the answer to double

def double(x):
    return 2 * x
1 / 0
