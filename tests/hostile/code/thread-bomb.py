# kind: exhaustion
# tries: start threads for ever
# where: in a cell behind all others

import threading, time
for _ in range(2000):
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
