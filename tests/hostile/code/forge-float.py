# kind: forging
# tries: return a float that lies about its bits
# where: in place of the answer to double
# loses: double

class Lie(float):
    def __eq__(self, other): return True
    def hex(self): return (0.0).hex()
def double(x): return Lie(0.0)
