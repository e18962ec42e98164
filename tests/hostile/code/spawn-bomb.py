# kind: exhaustion
# tries: start processes for ever
# where: in place of the answer to double
# loses: double half
# says: processes

import subprocess
running = [subprocess.Popen(['sleep', '1000']) for _ in range(10_000)]
def double(x):
    return 2 * x
