# kind: stopping
# tries: ignore every signal and stay
# where: in a cell behind all others
# says: ran longer than

import signal, time
for s in range(1, 32):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
while True: time.sleep(1)
