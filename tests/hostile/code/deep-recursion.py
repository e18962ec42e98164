# kind: stopping
# tries: overflow the stack
# where: in a cell behind all others

import sys
sys.setrecursionlimit(10**9)
def f(): return f()
f()
