"""What a submission's process may still do: by seccomp in a bubblewrap, else with Landlock, too.

In a bubblewrap seccomp takes what could reach the process above, or stay behind for the next
submission. Where there is none, Landlock (https://docs.kernel.org/userspace-api/landlock.html)
leaves it a few places to read and one to write to, no TCP, and signals to none but itself; seccomp
takes also every socket, other programs, child processes, permissions and times of files, others'
limits. There is no disk quota, and no file system of its own to hide that files exist.
"""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterable
from typing import Any

LEAST_ABI = 6  # of Landlock, Linux 6.12: the first that keeps signals in
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
FACTS = ("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu")
CLONE_THREAD = 0x10000
CLONE_NEWUSER = 0x10000000

REFUSED = (
    # other processes, and what they hold; io_uring could go past this filter
    *("ptrace", "process_vm_readv", "process_vm_writev", "pidfd_getfd", "kcmp"),
    *("io_uring_setup", "io_uring_enter", "io_uring_register"),
    # memory that no process has, or that outlives its process
    *("shmget", "semget", "msgget", "mq_open", "memfd_create", "memfd_secret"),
    # what files carry besides their bytes
    *("setxattr", "lsetxattr", "fsetxattr", "setxattrat"),
    # the machine
    *("setpriority", "ioprio_set", "unshare", "setns", "mount", "umount2", "keyctl", "add_key"),
    *("request_key", "bpf", "perf_event_open", "userfaultfd"),
)
REFUSED_OUTSIDE = (
    # other programs, other processes, and whatever speaks to somebody
    *("execve", "execveat", "fork", "vfork", "socket"),
    # what Landlock leaves free: files' permissions, owners, times and attributes
    *("chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "fchown", "lchown", "fchownat"),
    *("utime", "utimes", "futimesat", "utimensat"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr"),
)
REFUSED_OF_OTHERS = (
    *("prlimit64", "sched_setaffinity", "sched_setscheduler", "sched_setparam", "sched_setattr"),
)


def seccomp_defect() -> str:
    """Why this machine has no seccomp for us; the empty string if it has."""
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        return f"seccomp cannot be used ({error}): apt-get install libseccomp2"
    if pyseccomp.system_arch() not in (pyseccomp.Arch.X86_64, pyseccomp.Arch.AARCH64):
        return "seccomp is set up for x86-64 and aarch64 only"
    return ""


def defect() -> str:
    """Why this machine cannot do without a bubblewrap; the empty string if it can."""
    if lacking := seccomp_defect():
        return lacking
    try:
        import landlockpy
    except (ImportError, RuntimeError, OSError) as error:
        return f"Landlock cannot be used ({error})"
    try:
        abi = landlockpy.abi_version()
    except OSError:
        abi = 0
    if abi < LEAST_ABI:
        return f"Landlock is too old here (ABI {abi}; ABI {LEAST_ABI} comes with Linux 6.12)"
    return ""


def confine_inside() -> None:
    """Confine this process of a bubblewrap, for good. It must have one thread only."""
    import pyseccomp

    rules, _ = _refusing(REFUSED)
    newuser = pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_NEWUSER, CLONE_NEWUSER)
    rules.add_rule(pyseccomp.ERRNO(errno.EPERM), "clone", newuser)
    rules.load()


def confine(readable: Iterable[str], writable: Iterable[str]) -> None:
    """Confine this process, for good. It must have one thread only.

    Raises
    ------
    OSError
        If the kernel refuses.
    """
    _drop_capabilities()
    _landlock(readable, writable)
    import pyseccomp

    rules, no = _refusing((*REFUSED, *REFUSED_OUTSIDE))
    rules.add_rule(no, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, CLONE_THREAD, 0))
    rules.load()


def _landlock(readable: Iterable[str], writable: Iterable[str]) -> None:
    from landlockpy import AccessFS, Ruleset, Scope

    read = AccessFS.READ_FILE | AccessFS.READ_DIR
    scoped = Scope.SIGNAL | Scope.ABSTRACT_UNIX_SOCKET
    with Ruleset(scoped=scoped) as rules:
        for path in (*readable, *FACTS):
            if os.path.exists(path):
                rules.allow_path(path, read if os.path.isdir(path) else AccessFS.READ_FILE)
        for path in DEVICES:
            rules.allow_path(path, AccessFS.READ_FILE | AccessFS.WRITE_FILE)
        for path in writable:
            rules.allow_path(path, ~(AccessFS.EXECUTE | AccessFS.MAKE_BLOCK | AccessFS.MAKE_CHAR))
        rules.restrict()


def _refusing(calls: Iterable[str]) -> tuple[Any, Any]:
    """A filter that refuses system calls, and what it answers to them."""
    import pyseccomp

    rules, arch = pyseccomp.SyscallFilter(pyseccomp.ALLOW), pyseccomp.system_arch()
    no, unknown = pyseccomp.ERRNO(errno.EPERM), pyseccomp.ERRNO(errno.ENOSYS)
    for name in calls:
        if pyseccomp.resolve_syscall(arch, name) >= 0:  # not every processor has fork
            rules.add_rule(no, name)
    for name in REFUSED_OF_OTHERS:
        rules.add_rule(no, name, pyseccomp.Arg(0, pyseccomp.NE, 0))
    rules.add_rule(unknown, "clone3")  # its flags lie in memory: glibc then takes clone
    return rules, no


def _drop_capabilities() -> None:
    """Root without capabilities owns its files and no more."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    version_3, none = 0x20080522, (ctypes.c_uint32 * 6)()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.capset(ctypes.byref(Header(version_3, 0)), none):
        raise OSError(ctypes.get_errno(), "capset")
