"""How a child shuts itself in, before it runs a line of a plugin: limits, files, system calls.

It keeps what it was born with: an environment without secrets, its pair of sockets, and the file that it is to read.
On Linux it then opens no other files than Python's and the plugin's own and a folder for scratch (Landlock), and no
sockets (seccomp), and starts nothing that leaves its process group, so that all of it ends together; on other systems
only limits hold.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

MAX_FILES = 256
MAX_WRITTEN = 256 << 20
"""Bytes of a file for scratch."""
_NO_NEW_PRIVILEGES, _DEATH_SIGNAL, _SECCOMP = 38, 1, 22
"""Of prctl(2)."""
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls of Landlock, the same on all architectures."""
_READ_FILE, _READ_DIR, _EXECUTE = 1 << 2, 1 << 3, 1 << 0
_READ = _READ_FILE | _READ_DIR | _EXECUTE
_ALL_BY_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_OF_FILES = _EXECUTE | 1 << 1 | _READ_FILE | 1 << 14
"""The rights that a rule on a plain file may have."""
_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/localtime", "/etc/ld.so.cache", "/dev/urandom", "/dev/zero")
_OF_NAMES = (
    "/etc/hosts",
    "/etc/resolv.conf",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
)
"""What the system's resolver reads."""
_MACHINES = {
    # The audit architecture of seccomp, the number of the call that opens sockets, and of what no child may call: other
    # processes' memory, io_uring, which goes around all this, and what leaves a process group.
    "x86_64": (
        0xC000003E,
        41,
        {"ptrace": 101, "vm_readv": 310, "vm_writev": 311, "io_uring": 425, "setpgid": 109, "setsid": 112},
    ),
    "aarch64": (
        0xC00000B7,
        198,
        {"ptrace": 117, "vm_readv": 270, "vm_writev": 271, "io_uring": 425, "setpgid": 154, "setsid": 157},
    ),
}
_OTHER_NUMBERS = 0x40000000
"""From here on x86-64 has the same calls once more, with numbers of their own (x32)."""


def limit(memory: int, seconds: int) -> None:
    """At most so many bytes of address space and seconds of CPU; no core dumps."""
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_NOFILE, MAX_FILES),
        (resource.RLIMIT_FSIZE, MAX_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def shut_in(readable: Iterable[Path], scratch: Path, *, sockets: bool) -> None:
    """From here on this process and all that it starts open no files but these, no sockets unless `sockets`, and stay
    in its process group."""
    if sys.platform != "linux":
        return
    _prctl(_DEATH_SIGNAL, 9)
    _prctl(_NO_NEW_PRIVILEGES, 1)
    _landlock([*readable, *(map(Path, _OF_NAMES) if sockets else ())], scratch)
    _seccomp(sockets=sockets)


def strength() -> list[str]:
    """What `limit` and `shut_in` can hold on this machine, in words."""
    found = ["limits"]
    if sys.platform == "linux":
        found += ["files (Landlock)"] if _landlock_abi() >= 1 else []
        found += ["sockets (seccomp)", "processes (seccomp)"] if platform.machine() in _MACHINES else []
    return found


def lacking() -> list[str]:
    """What this machine can't keep a connector from, in words."""
    if sys.platform != "linux":
        return ["only Linux can keep it from files, sockets and processes of this user"]
    abi, found = _landlock_abi(), list[str]()
    if abi < 1:
        found.append("it can open all files of this user: this kernel has no Landlock (Linux 5.13, switched on)")
    elif abi < 3:
        found.append(f"it can empty files of this user: Landlock has ABI {abi} here, not 3 (Linux 6.2)")
    if abi < 6:
        found.append(
            "it can end other processes of this user, Sortation's too: Landlock "
            f"{f'has ABI {abi}' if abi > 0 else 'is not'} here, not ABI 6 (Linux 6.12)"
        )
    if platform.machine() not in _MACHINES:
        found.append(f"it can open sockets: their system calls on {platform.machine()} are not known")
    return found


def own_files(working: Path) -> Iterator[Path]:
    """What a plugin needs to be imported: Python, and what is installed. Of an application that runs out of its
    sources the packages alone, and nothing of the host's `working` directory because it is on the path: data and keys
    lie there."""
    application = Path(__file__).parents[2]
    apart = [working] if application.name in ("site-packages", "dist-packages") else [working, application]
    yield from map(Path, {sys.prefix, sys.base_prefix, sys.exec_prefix})
    for name in ("core", "ports", "plugins", "sortation"):
        yield application / name
    for path in map(Path, sys.path):
        if path.is_absolute() and not any(place.is_relative_to(path.resolve()) for place in apart):
            yield path
    yield from map(Path, _SYSTEM)


def _prctl(option: int, value: int) -> None:
    if _libc().prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _landlock(readable: Iterable[Path], scratch: Path) -> None:
    """Does nothing where the kernel has no Landlock."""
    libc, abi = _libc(), _landlock_abi()
    if abi < 1:
        return
    everything = _ALL_BY_ABI[max(known for known in _ALL_BY_ABI if known <= abi)]
    # handled_access_fs, handled_access_net (none: seccomp is stricter), scoped (abstract sockets and signals, ABI 6)
    handled = struct.pack("QQQ", everything, 0, 3) if abi >= 6 else struct.pack("Q", everything)
    ruleset = _called(libc, _CREATE_RULESET, handled, len(handled), 0)
    for path, rights in [*((path, _READ) for path in readable), (Path("/dev/null"), _READ_FILE | 1 << 1)]:
        _allow(libc, ruleset, path, rights & everything)
    _allow(libc, ruleset, scratch, everything & ~_EXECUTE)
    _called(libc, _RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)


def _landlock_abi() -> int:
    abi: int = _libc().syscall(_CREATE_RULESET, None, 0, 1)
    return abi


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno == errno.ENOTDIR:
            return
        raise
    if not path.is_dir():
        rights &= _OF_FILES
    try:
        _called(libc, _ADD_RULE, ruleset, 1, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _called(libc: ctypes.CDLL, number: int, *arguments: int | bytes) -> int:
    result: int = libc.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), f"system call {number}")
    return result


def _seccomp(*, sockets: bool) -> None:
    """The calls named above fail with EACCES: a filter of classic BPF, as seccomp(2) describes it. Does nothing on
    machines whose numbers are not known."""
    if (known := _MACHINES.get(platform.machine())) is None:
        return
    architecture, socket, forbidden = known
    load, equal, at_least, answer = 0x20, 0x15, 0x35, 0x06
    allowed, refused, killed = 0x7FFF0000, 0x00050000 | errno.EACCES, 0x80000000
    numbers = [*forbidden.values(), *([] if sockets else [socket])]
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (answer, 0, 0, killed), (load, 0, 0, 0)]
    program += [(at_least, 0, 1, _OTHER_NUMBERS), (answer, 0, 0, killed)]
    for place, number in enumerate(numbers):
        program.append((equal, len(numbers) - place, 0, number))
    program += [(answer, 0, 0, allowed), (answer, 0, 0, refused)]
    filters = b"".join(struct.pack("HBBI", *step) for step in program)
    kept = ctypes.create_string_buffer(filters, len(filters))
    # struct sock_fprog, with the padding that native alignment gives it.
    head = struct.pack("HP", len(program), ctypes.addressof(kept))
    if _libc().prctl(_SECCOMP, ctypes.c_ulong(2), ctypes.c_char_p(head), ctypes.c_ulong(0), ctypes.c_ulong(0)):
        raise OSError(ctypes.get_errno(), "seccomp")
