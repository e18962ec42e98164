"""Nothing of one submission reaches the next, and nothing of a sandbox stays when it is ended."""

import json
import os
import random
import time
from pathlib import Path

import psutil
import pytest

from grader.running import sandbox
from grader.running.ran import Limits
from grader.running.runners import run_to_its_end
from grader.running.sandbox import Sandbox
from grader.running.ways import best_way

# All that a submission can see of what it was given: descriptors with their flags and sizes,
# mounts, places with modes, times and attributes, limits, environment, signals, other processes.
STATE = """
import fcntl, json, os, re, resource, signal, stat

def of_descriptor(fd):
    kind = stat.S_IFMT(os.fstat(fd).st_mode)
    found = [kind, fcntl.fcntl(fd, fcntl.F_GETFL), fcntl.fcntl(fd, fcntl.F_GETFD)]
    return found + [fcntl.fcntl(fd, 1032)] if stat.S_ISFIFO(kind) else found  # F_GETPIPE_SZ

def of_place(path):
    seen = os.stat(path)
    names = {n: os.getxattr(path, n).hex() for n in os.listxattr(path)}
    return [oct(seen.st_mode), seen.st_mtime_ns, names, sorted(os.listdir(path))]

def of_process(pid):
    try:
        status = open(f'/proc/{pid}/status').read()
    except OSError:
        return 'out of reach'
    # Its own counters may move; what it may do, and what it does with signals, may not.
    kept = r'^(?:Uid|Gid|Cap\\w+|Seccomp\\w*|Sig(?:Blk|Ign|Cgt)|Cpus_allowed):.*$'
    return re.findall(kept, status, re.M)

def tried(call, *arguments):
    try:
        return call(*arguments)
    except OSError as error:
        return error.errno

descriptors = {}
for fd in range(256):
    try:
        descriptors[fd] = of_descriptor(fd)
    except OSError:
        pass
places = sorted({os.getcwd(), '/tmp', os.path.expanduser('~'), '/dev/shm'})
print('STATE', json.dumps({
    'descriptors': descriptors,
    'mounts': re.findall(r'^\\d+ \\d+ \\S+ (.*)$', open('/proc/self/mountinfo').read(), re.M),
    'places': {place: tried(of_place, place) for place in places},
    'disk': [os.statvfs(os.getcwd()).f_blocks, os.statvfs(os.getcwd()).f_bfree],
    'limits': {n: resource.getrlimit(getattr(resource, n)) for n in dir(resource)
               if n.startswith('RLIMIT') and n != 'RLIMIT_AS'},  # of it the job's size is a part
    'environment': dict(os.environ),
    'signals': [str(signal.getsignal(n)) for n in range(1, 32)],
    'blocked': sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, []))),
    'first process': of_process(1),
    'above': tried(os.readlink, f'/proc/{os.getppid()}/cwd'),
    'ipc': {n: tried(lambda n=n: open(f'/proc/sysvipc/{n}').read().splitlines()[1:])
            for n in ('shm', 'sem', 'msg')},
    'priority': os.getpriority(os.PRIO_PROCESS, 0),
    'processors': sorted(os.sched_getaffinity(0)),
    'umask': os.umask(0o22),
}, sort_keys=True))
"""
# All of it, changed as far as it can be; whatever is refused is refused.
SPOIL = """
import ctypes, fcntl, os, resource, signal, stat, subprocess, sys, tempfile

def attempt(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return error

places = {os.getcwd(), tempfile.gettempdir(), os.path.expanduser('~'), '/dev/shm'}
for place in places:
    for name in ('a', '.b', 'c d'):
        attempt(lambda: open(os.path.join(place, name), 'w').write('left'))
        attempt(lambda: os.makedirs(os.path.join(place, 'deep', name)))
    attempt(os.setxattr, place, 'user.left', b'left')
    attempt(os.setxattr, place, 'system.posix_acl_access', b'left')
    attempt(os.utime, place, (1, 777))
    attempt(os.chmod, place, 0o4111)
    attempt(os.chown, place, 1, 1)
for fd in range(3, 256):
    attempt(fcntl.fcntl, fd, 1031, 4096)  # F_SETPIPE_SZ
    attempt(lambda: fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_NONBLOCK))
    attempt(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
libc = ctypes.CDLL(None)
for call in (lambda: libc.shmget(42, 4096, 0o1666), lambda: libc.semget(42, 1, 0o1666),
             lambda: libc.msgget(42, 0o1666), lambda: libc.mq_open(b'/left', 0o102, 0o666, None)):
    attempt(call)
for pid in (1, os.getppid(), 0):
    attempt(os.setpriority, os.PRIO_PROCESS, pid, 19)
    attempt(os.sched_setaffinity, pid, {0})
    attempt(resource.prlimit, pid, resource.RLIMIT_NOFILE, (64, 64))
    attempt(lambda: open(f'/proc/{pid}/oom_score_adj', 'w').write('1000'))
attempt(os.kill, 1, signal.SIGUSR1)
os.environ['LEFT'] = 'left'
os.umask(0o777)
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 32))
attempt(subprocess.Popen, [sys.executable, '-c', 'import time; time.sleep(600)'])
"""


def job(*sources: str) -> dict:
    cells = [{"role": "run", "source": source, "draws": False} for source in sources]
    return {"files": {}, "cells": cells, "hidden": {}, "seed": 1}


def state(box: Sandbox) -> dict:
    ran = box.run(job(STATE))
    shown = "".join(one.get("text", "") for f in ran.frames for one in f.get("outputs", ()))
    assert shown.startswith("STATE "), ran
    return json.loads(shown.removeprefix("STATE "))


@pytest.fixture
def box():
    box = Sandbox(way=best_way())
    yield box
    box.close()


def test_a_submission_finds_everything_as_the_first_one_did(box):
    before = state(box)
    process = box._process
    again = state(box)
    assert again == before, "the state tells of more than what is left"
    ran = box.run(job(SPOIL))
    assert ran.frames[0]["outputs"] == []
    assert state(box) == before
    assert box._process is process, "the sandbox was lost: then nothing is shown by this test"
    pipes = [fd for fd, found in before["descriptors"].items() if len(found) == 4]
    assert len(pipes) >= 2 and before["first process"]


def test_what_has_met_hidden_cases_is_never_run_again(box):
    task = job(
        "import os, signal\nprint('RUN')\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)", ""
    )
    task["cells"][1] = {"role": "check", "exercise": "f", "driven": False, "hidden": True}
    task["hidden"] = {"1": [{"args": {"tuple": [40]}, "sweep": False}]}
    runs = []
    box.run, real = lambda job: runs.append(job) or real(job), box.run
    ran = run_to_its_end(box, task)
    assert len(runs) == 1 and ran.lost and ran.fault


def test_what_was_lost_before_that_is_run_again_in_a_new_sandbox(box):
    mark = "import os, signal\nif not os.path.exists('/tmp/there'): os.kill(os.getpid(), 9)"
    state(box)
    first = box._process
    ran = run_to_its_end(box, job(mark))
    assert ran.lost and box._process is not first


def _of_sessions(sessions: set[int]) -> list[str]:
    """Names of the processes that belong to one of these sessions and have not ended."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            name, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _, _, session = rest.split()[:4]
        if int(session) in sessions and state not in "ZX":
            found.append(name)
    return found


def test_a_sandbox_that_is_ended_while_it_starts_leaves_no_process_and_no_wait(box):
    generator, sessions = random.Random(0), set()
    for _ in range(50):
        box.start()
        sessions.add(box._process.pid)
        time.sleep(generator.uniform(0, 0.03))
        assert box._last_words()
        box.stop()
    deadline = time.monotonic() + 60  # for the kernel to end them; none may be there for ever
    while (left := _of_sessions(sessions)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left == []


def test_last_words_do_not_wait_for_whoever_holds_the_pipe(box, monkeypatch):
    """As an orphan of bubblewrap did for hours."""
    box.start()
    holder = os.dup(box._process.stderr.fileno())
    assert box._last_words()
    os.close(holder)


def test_a_sandbox_that_reads_nothing_is_given_up(box, monkeypatch):
    monkeypatch.setattr(sandbox, "GRACE", 0.5)
    box.limits = Limits(wall=0.5)
    box.wait_until_ready()
    inside = psutil.Process(box._process.pid)
    for process in [*inside.children(recursive=True), inside]:
        process.suspend()
    ran = box.run(job("x = 1  # " + "long " * 500_000))  # more than a pipe holds
    assert ran.lost and ran.fault and box._process is None
    box.limits = Limits()
    assert not box.run(job("x = 1")).lost
