"""The inside of the sandbox: a script of its own, run by `sandbox` with `python -I -S`. It shuts itself in, then runs the program that stands on stdin.

Linux only. Namespaces take away network, other processes and the file system (a small tmpfs with the Python installation in it, read-only, is all
there is); limits bound time, memory and files; seccomp denies new processes, sockets and mounts. Success is the token of stdin, written to stdout after
the program has run to its end: an early exit with status 0 is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import struct
import sys
from pathlib import Path

CLONE_ALL = 0x10000000 | 0x00020000 | 0x40000000 | 0x08000000 | 0x20000000 | 0x04000000  # user, mount, network, ipc, pid, uts
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MOUNT_SETATTR, AT_RECURSIVE, ATTR_RDONLY = 442, 0x8000, 1
ALLOW, DENY, KILL = 0x7FFF0000, 0x00050001, 0x80000000  # SECCOMP_RET_ALLOW, ERRNO with EPERM, KILL_PROCESS
# clone, clone3, fork, vfork, execve, execveat, socket, socketpair, ptrace, mount, umount2, unshare, setns, kill, bpf, keyctl, process_vm_readv
DENIED = {
    "x86_64": (0xC000003E, (56, 435, 57, 58, 59, 322, 41, 53, 101, 165, 166, 272, 308, 62, 321, 250, 310)),
    "aarch64": (0xC00000B7, (220, 435, 221, 281, 198, 199, 117, 40, 39, 97, 268, 129, 280, 219, 270)),
}
DEVICES = ("/dev/null", "/dev/urandom")

libc = ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: Path, kind: str | None, flags: int, data: str | None = None) -> None:
    check(libc.mount(source.encode(), bytes(target), kind and kind.encode(), flags, data and data.encode()), f"mount {target}")


def enter_namespaces() -> None:
    """New namespaces of every kind; this process forks, and the child goes on as their first process."""
    uid, gid = os.getuid(), os.getgid()
    check(libc.unshare(CLONE_ALL), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    if child := os.fork():
        _, status = os.waitpid(child, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0x7F)
    check(libc.prctl(1, 9, 0, 0, 0), "prctl PDEATHSIG")


def enter_root(megabytes: int) -> None:
    """A root of its own: an empty tmpfs, the Python installation and the system's libraries in it read-only, and /work to write to."""
    mount("none", Path("/"), None, MS_REC | MS_PRIVATE)
    root = Path("/tmp")
    shown = [path for path in dict.fromkeys((sys.base_prefix, "/usr", "/lib", "/lib64")) if Path(path).is_dir()]
    staged = Path("/proc/self/fd")  # sources are opened before the tmpfs hides what may lie below /tmp
    handles = {path: os.open(path, os.O_PATH) for path in (*shown, *DEVICES)}
    mount("tmpfs", root, "tmpfs", 0, f"size={megabytes}m,mode=755")
    for path, handle in handles.items():
        target = root / path.lstrip("/")
        if path in DEVICES:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
        else:
            target.mkdir(parents=True, exist_ok=True)
        mount(str(staged / str(handle)), target, None, MS_BIND | (0 if path in DEVICES else MS_REC))
        os.close(handle)
    attributes = struct.pack("QQQQ", ATTR_RDONLY, 0, 0, 0)
    for path in shown:
        target = root / path.lstrip("/")
        check(libc.syscall(MOUNT_SETATTR, -100, bytes(target), AT_RECURSIVE, attributes, len(attributes)), f"read-only {path}")
    (root / "work").mkdir()
    os.chroot(root)
    os.chdir("/work")


def set_limits(seconds: int, megabytes: int) -> None:
    for limit, value in (
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, megabytes << 20),
        (resource.RLIMIT_FSIZE, 1 << 20),
        (resource.RLIMIT_NOFILE, 32),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


def drop_rights() -> None:
    """No capabilities, none to be gained, and the system calls of `DENIED` refused."""
    check(libc.prctl(38, 1, 0, 0, 0), "prctl NO_NEW_PRIVS")
    header, nothing = struct.pack("Ii", 0x20080522, 0), bytes(24)
    check(libc.capset(header, nothing), "capset")
    architecture, denied = DENIED[platform.machine()]
    code = [(0x20, 0, 0, 4), (0x15, 1, 0, architecture), (0x06, 0, 0, KILL), (0x20, 0, 0, 0), (0x35, len(denied), 0, 0x40000000)]
    code += [(0x15, len(denied) - at, 0, number) for at, number in enumerate(denied)]
    code += [(0x06, 0, 0, ALLOW), (0x06, 0, 0, DENY)]
    program = b"".join(struct.pack("HBBI", *line) for line in code)
    buffer = ctypes.create_string_buffer(program)
    head = struct.pack("HxxxxxxP", len(code), ctypes.addressof(buffer))
    check(libc.prctl(22, 2, head, 0, 0), "prctl SECCOMP")


def main() -> None:
    order = json.loads(sys.stdin.buffer.read())
    program, token = order["program"], order["token"]
    answer = os.dup(1)
    try:
        enter_namespaces()
        enter_root(order["file_megabytes"])
        set_limits(order["seconds"], order["megabytes"])
        silence = os.open("/dev/null", os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(silence, stream)
        code = compile(program, "<program>", "exec")
        drop_rights()
    except (SyntaxError, ValueError):
        os._exit(1)
    except OSError as error:
        os.write(answer, f"no isolation: {error}".encode())
        os._exit(3)
    with contextlib.suppress(Exception):
        exec(code, {"__name__": "__main__"})
        os.write(answer, token.encode())
    os._exit(0)


if __name__ == "__main__":
    main()
