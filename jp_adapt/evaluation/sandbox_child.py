"""The sandbox of one program: a script of its own, run by `sandbox` with `python -I -S`. Linux only.

Two processes. The launcher enters namespaces of its own, starts the inner process, keeps the clock, and alone has the pipe to the caller. The inner process is
the first one of its own process namespace and sees a root of its own: a small tmpfs, in it the Python installation, read-only. It gives up every right, lets
seccomp allow the calls of `sandbox_calls` alone, and runs the program. It is never a superuser: root maps to nobody outside, every other user to himself.

The inner process has one thing to say, a secret that is written after the program has come to its end. The launcher reads no more than its length and takes
nothing else for success: an early exit with status 0 is none. A verdict is worth what the tests in the program are worth, which run in one process with it.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import signal
import struct
import sys
import time
from pathlib import Path
from typing import Any

CLONE_NAMESPACES = 0x10000000 | 0x40000000 | 0x08000000 | 0x20000000 | 0x04000000 | 0x02000000  # user, network, ipc, pid, uts, cgroup
CLONE_NEWNS = 0x00020000
MS_NOSUID, MS_NODEV, MS_BIND, MS_REC, MS_PRIVATE, MNT_DETACH = 2, 4, 4096, 16384, 1 << 18, 2
MOUNT_SETATTR, AT_RECURSIVE = 442, 0x8000
ATTR_RDONLY, ATTR_NOSUID, ATTR_NODEV = 1, 2, 4
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
ALLOW, NOT_PERMITTED, NO_TERMINAL, KILL = 0x7FFF0000, 0x00050001, 0x00050019, 0x80000000  # SECCOMP_RET_ALLOW, ERRNO (EPERM, ENOTTY), KILL_PROCESS
IOCTL = {"x86_64": 16, "aarch64": 29}
DEVICES = ("/dev/null", "/dev/urandom")
NOBODY = 65534
MAX_FILES = 4096  # of the tmpfs: each takes memory of the kernel's

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def die_with(parent: int) -> None:
    """Be killed when the process `parent` ends. A change of user or capabilities undoes this, so it comes after."""
    check(libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl PDEATHSIG")
    if os.getppid() != parent:
        os._exit(1)


def enter_namespaces() -> bool:
    """Namespaces of every kind but that of mounts; the next child is the first process of its own process namespace. True for root, who has to `leave_root`."""
    launcher, uid, gid, root = os.getpid(), os.getuid(), os.getgid(), os.geteuid() == 0
    ready, go = os.pipe()
    # Only a process outside may say that root in here is somebody else there.
    mapper = os.fork() if root else 0
    if root and mapper == 0:
        os.close(go)
        os.read(ready, 1)
        try:
            write_maps(launcher, NOBODY, NOBODY)
        except OSError:
            os._exit(1)
        os._exit(0)
    check(libc.unshare(CLONE_NAMESPACES), "unshare")
    os.close(go)
    if not root:
        Path("/proc/self/setgroups").write_text("deny")
        write_maps(launcher, uid, gid)
    elif os.waitpid(mapper, 0)[1] != 0:
        raise PermissionError("root cannot be mapped to another user")
    os.close(ready)
    return root


def write_maps(process: int, uid: int, gid: int) -> None:
    """User and group 0 of the process's user namespace are these outside of it."""
    Path(f"/proc/{process}/uid_map").write_text(f"0 {uid} 1")
    Path(f"/proc/{process}/gid_map").write_text(f"0 {gid} 1")


def leave_root() -> None:
    """Be user 0 of the namespace, who is nobody outside; what of the real root's user number is left goes."""
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    check(libc.mount(source.encode(), bytes(target), kind and kind.encode(), flags, data and data.encode()), f"mount {target}")


def enter_root(megabytes: int, root_user: bool) -> None:
    """A root of its own: a tmpfs, the Python installation and the system's libraries in it read-only, and /work to write to. The old root is gone."""
    check(libc.unshare(CLONE_NEWNS), "unshare mounts")
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    root = Path("/tmp")
    shown = [path for path in dict.fromkeys((sys.base_prefix, "/usr", "/lib", "/lib64")) if Path(path).is_dir()]
    handles = {path: os.open(path, os.O_PATH) for path in (*shown, *DEVICES)}  # before the tmpfs hides /tmp
    if root_user:
        leave_root()  # not before: others may not be allowed to enter the folder of the installation
    mount("tmpfs", root, "tmpfs", MS_NOSUID | MS_NODEV, f"size={megabytes}m,nr_inodes={MAX_FILES},mode=755")
    for path, handle in handles.items():
        target = root / path.lstrip("/")
        if path in DEVICES:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        else:
            target.mkdir(parents=True, exist_ok=True)
        mount(f"/proc/self/fd/{handle}", target, None, MS_BIND | (0 if path in DEVICES else MS_REC))
        os.close(handle)
    for path in handles:
        # A read-only device can be written to; its mode and owner, which are those of the machine's, cannot be changed.
        attributes = struct.pack("QQQQ", ATTR_RDONLY | ATTR_NOSUID | (0 if path in DEVICES else ATTR_NODEV), 0, 0, 0)
        recursive = 0 if path in DEVICES else AT_RECURSIVE
        check(libc.syscall(MOUNT_SETATTR, -100, bytes(root / path.lstrip("/")), recursive, attributes, len(attributes)), f"read-only {path}")
    (root / "work").mkdir()
    os.chdir(root)
    check(libc.syscall(PIVOT_ROOT[platform.machine()], b".", b"."), "pivot_root")
    check(libc.umount2(b".", MNT_DETACH), "umount of the old root")
    os.chdir("/work")


def keep_only(descriptor: int) -> int:
    """Close every file but `descriptor`, which comes back under its new number; stdin, stdout and stderr lead nowhere."""
    silence = os.open("/dev/null", os.O_RDWR)
    kept = os.dup2(descriptor, 1 + max(descriptor, silence, 9), inheritable=True)
    for stream in (0, 1, 2):
        os.dup2(silence, stream)
    os.dup2(kept, 3)
    os.closerange(4, 1 << 16)
    return 3


def set_limits(seconds: int, megabytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def drop_rights(architecture: int, calls: list[int]) -> None:
    """No capabilities, none to be gained, and no system call but `calls`. `ioctl` says that nothing is a terminal."""
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl NO_NEW_PRIVS")
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, nothing), "capset")
    load, equal, give = 0x20, 0x15, 0x06
    code = [(load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, KILL), (load, 0, 0, 0)]
    code += [(equal, 0, 1, IOCTL[platform.machine()]), (give, 0, 0, NO_TERMINAL)]
    code += [(equal, len(calls) - at, 0, number) for at, number in enumerate(calls)]  # the x32 numbers of x86-64 are none of these
    code += [(give, 0, 0, NOT_PERMITTED), (give, 0, 0, ALLOW)]
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    check(libc.prctl(PR_SET_SECCOMP, 2, head, 0, 0), "prctl SECCOMP")


def be_inside(order: dict[str, Any], root_user: bool, failure: int, go: int, words: int) -> None:
    """The inner process: shuts itself in, or says on `failure` why it cannot, waits for the byte on `go`, and runs the program. The secret goes to `words`."""
    try:
        enter_root(order["file_megabytes"], root_user)
        die_with(0)  # the launcher, which has no number in here
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        set_limits(order["seconds"], order["megabytes"])
        drop_rights(order["architecture"], order["calls"])
    except (OSError, ValueError) as error:
        os.write(failure, str(error).encode()[:200])
        os._exit(3)
    os.close(failure)
    if os.read(go, 1) != b"g":  # the launcher ended before it could take this process with it
        os._exit(1)
    words = keep_only(words)
    program, secret = order.pop("program"), order.pop("secret")
    try:
        exec(compile(program, "<program>", "exec"), {"__name__": "__main__"})
    except BaseException:
        os._exit(1)
    os.write(words, secret.encode())
    os._exit(0)


def waited_seconds(process: int) -> float:
    """How long a process was ready to run and the machine did something else; 0 where the kernel does not say."""
    try:
        return int(Path(f"/proc/{process}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def wait_for(process: int, seconds: float) -> int:
    """Exit status of the inner process, which is killed when its time is over. A loaded machine takes nothing of that time."""
    started = time.monotonic()
    while True:
        signal.sigtimedwait({signal.SIGCHLD}, 0.1)
        ended, status = os.waitpid(process, os.WNOHANG)
        if ended:
            return status
        if time.monotonic() - started - waited_seconds(process) > seconds:
            os.kill(process, signal.SIGKILL)
            return os.waitpid(process, 0)[1]


def verdict(order: dict[str, Any]) -> str:
    """ "passed", "failed", or "no isolation: " and the reason, before which no program was run."""
    try:
        root_user = enter_namespaces()
    except OSError as error:
        return f"no isolation: {error}"
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    failed, failure = os.pipe()
    given, words = os.pipe()
    start, go = os.pipe()
    if not (inner := os.fork()):
        os.close(go)
        be_inside(order, root_user, failure, start, words)
    if root_user:
        leave_root()
    die_with(order["parent"])
    os.close(failure)
    os.close(words)
    reason = os.read(failed, 200)  # empty once the inner process has shut itself in and closed it
    os.write(go, b"g")
    status = wait_for(inner, order["wall_seconds"])
    if reason:
        return f"no isolation: {reason.decode(errors='replace')}"
    secret = order["secret"].encode()
    return "passed" if status == 0 and os.read(given, len(secret) + 1) == secret else "failed"


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    signal.alarm(order["longest_seconds"])  # whatever else fails: the launcher ends, and with it the inner process
    with contextlib.suppress(BrokenPipeError):
        os.write(1, verdict(order).encode())
    os._exit(0)


if __name__ == "__main__":
    main()
