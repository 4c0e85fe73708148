"""Confines a forked process permanently, before it runs a learner's code.

bubblewrap gives the warm process its read-only system without a network. Since a fork of it cannot
start bubblewrap again without losing its warm state, the last walls are put up here: namespaces of
the fork's own, limits, and a filter of system calls by libseccomp. Linux only; imported on both
sides of the border, it does nothing by itself.
"""

import ctypes
import errno
import os
import resource
import signal
import socket
from dataclasses import dataclass
from functools import cache

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x20000, 0x2000000, 0x4000000, 0x8000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_THREAD = 0x10000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 1, 4, 38
NOBODY = 65534
SCRATCH = "/scratch"  # the only place to write; not /tmp, where Python or this package may lie

# Nothing that an answer computes needs these. Without fork and exec, the memory limit of the one
# process is the limit of all; without sockets but those of UNIX, vsock leads nowhere either.
FORBIDDEN = """
    fork vfork execve execveat unshare setns mount umount umount2 pivot_root chroot move_mount
    fsopen fsconfig fsmount fspick open_tree mount_setattr ptrace process_vm_readv
    process_vm_writev process_madvise pidfd_open pidfd_getfd pidfd_send_signal kcmp keyctl
    add_key request_key bpf perf_event_open userfaultfd io_uring_setup io_uring_enter
    io_uring_register open_by_handle_at name_to_handle_at init_module finit_module
    delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl syslog
    memfd_create memfd_secret shmget shmat semget msgget mq_open personality fanotify_init
    landlock_create_ruleset lookup_dcookie nfsservctl vhangup iopl ioperm modify_ldt
"""


@dataclass(frozen=True)
class Limits:
    """What one job may use. Seconds of wall and CPU time; bytes beyond the warm process's own."""

    wall: float = 60.0
    cpu: int = 60
    memory: int = 2**30
    file: int = 64 * 2**20
    files: int = 128
    threads: int = 64


class ConfineError(OSError):
    """A wall could not be raised; nothing of a submission may run."""


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc(), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise ConfineError(number, f"{name}: {os.strerror(number)}")


def drop_root() -> None:
    """Become the user nobody, permanently."""
    os.setgroups([])
    os.setresgid(NOBODY, NOBODY, NOBODY)
    os.setresuid(NOBODY, NOBODY, NOBODY)
    _libc().prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self/uid_map belongs to root


def new_namespaces() -> None:
    """Leave all of the parent's namespaces; the next fork is process 1 of the new one."""
    uid, gid = os.getuid(), os.getgid()
    everything = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET
    _call("unshare", everything | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
    for name, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{uid} {uid} 1"),
        ("gid_map", f"{gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def end_with_parent() -> None:
    """Be killed when the parent ends, for whatever reason."""
    _call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def own_files() -> None:
    """Mount a private, empty SCRATCH and /dev/shm, and a /proc with what `written_in_proc` found."""
    own = MS_NOSUID | MS_NODEV
    for place in (SCRATCH.encode(), b"/dev/shm"):
        _call("mount", b"tmpfs", place, b"tmpfs", own, b"size=64m,nr_inodes=2048,mode=1777")
    files = written_in_proc()
    _call("mount", b"tmpfs", b"/proc", b"tmpfs", own | MS_NOEXEC, b"size=2m,mode=0755")
    os.mkdir("/proc/self")
    for name, content in files.items():
        with open(f"/proc/{name}", "wb") as file:
            file.write(content)
    _call("mount", None, b"/proc", None, MS_REMOUNT | MS_RDONLY | own | MS_NOEXEC, None)
    os.chdir(SCRATCH)


@cache
def written_in_proc() -> dict[str, bytes]:
    """What libraries such as threadpoolctl read in /proc, from before the forks."""
    found = {}
    for name in ("cpuinfo", "meminfo", "self/maps"):
        with open(f"/proc/{name}", "rb") as file:
            found[name] = file.read()
    return found


def set_limits(limits: Limits) -> None:
    """Limits on what this process uses. Call it while /proc can still be read."""
    for what, value in (
        (resource.RLIMIT_AS, _address_space() + limits.memory),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_NPROC, limits.threads),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (value, value))


def _address_space() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def give_up_rights() -> None:
    """No capability, no way to gain one, and only the system calls that computing needs."""

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    none = (ctypes.c_uint32 * 6)()
    _call("capset", ctypes.byref(Header(0x20080522, 0)), ctypes.byref(none))
    _call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _call("prctl", PR_SET_DUMPABLE, 0, 0, 0, 0)
    lib, filter_ = system_call_filter()
    code = lib.seccomp_load(filter_)
    if code:
        raise ConfineError(-code, f"seccomp: {os.strerror(-code)}")


class _Comparison(ctypes.Structure):
    """scmp_arg_cmp of libseccomp."""

    _fields_ = (
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("a", ctypes.c_uint64),
        ("b", ctypes.c_uint64),
    )


@cache
def system_call_filter() -> tuple[ctypes.CDLL, ctypes.c_void_p]:
    """A filter that refuses FORBIDDEN, new processes, and sockets of every family but AF_UNIX.

    It is built once; every fork inherits it, and loads it for itself.
    """
    lib = _seccomp()
    allow, not_equal, masked_equal = 0x7FFF0000, 1, 7
    filter_ = ctypes.c_void_p(lib.seccomp_init(allow))

    def refuse(name: str, number: int = errno.EPERM, *comparisons: _Comparison) -> None:
        call = lib.seccomp_syscall_resolve_name(name.encode())
        if call == -1:  # not a system call of this machine
            return
        array = (_Comparison * len(comparisons))(*comparisons)
        code = lib.seccomp_rule_add_array(
            filter_, 0x00050000 | number, call, len(comparisons), array
        )
        if code:
            raise ConfineError(-code, f"seccomp rule for {name}: {os.strerror(-code)}")

    for name in FORBIDDEN.split():
        refuse(name)
    refuse("clone3", errno.ENOSYS)  # glibc then falls back to clone, whose flags can be read
    refuse("clone", errno.EPERM, _Comparison(0, masked_equal, CLONE_THREAD, 0))
    for name in ("socket", "socketpair"):
        refuse(name, errno.EPERM, _Comparison(0, not_equal, socket.AF_UNIX, 0))
    return lib, filter_


def _seccomp() -> ctypes.CDLL:
    try:
        lib = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        raise ConfineError(errno.ENOENT, "libseccomp is missing (Debian: libseccomp2)") from None
    lib.seccomp_init.restype = ctypes.c_void_p
    lib.seccomp_init.argtypes = [ctypes.c_uint32]
    lib.seccomp_rule_add_array.argtypes = [
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.c_void_p
    ]  # fmt: skip
    lib.seccomp_load.argtypes = [ctypes.c_void_p]
    return lib
