# kind: bystander
# tries: nothing: sys.exit in a cell
# where: in place of the answer to double

def double(x):
    return 2 * x
import sys
sys.exit()
