"""The guard of one worker: a small process between agent and worker that outlives the agent.

Run as: `python -I -S guard.py LEASE EXIT [options] -- COMMAND`. It knows nothing but the standard
library, so that it starts at once and weighs little.

It lets the worker run while its lease lasts, has it stand still (SIGSTOP) when nobody renews that,
and ends it when nobody has for long. So a worker can wait for its agent to come back, and yet
neither runs beside a second attempt nor for ever.

Not here: why a worker ends, limits that are measured (`worker`), what it writes.

Invariants:
- the worker has the limits, the user and the network it was given before its first instruction;
- nothing that the worker started, however it hid, outlives the guard's orderly end (it is the
  reaper of all of them), and the worker does not outlive the guard's sudden one;
- the exit code is on disk before the guard ends, also on a full one, if the file was there before:
  whoever comes later can read it.

Source: prctl(2), unshare(2), user_namespaces(7).
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

POLL_SECONDS = 0.1
#: What stands in the file of an exit code until there is one: as much room as any takes.
NO_EXIT = b"    "
#: What a shell says of a command that it cannot run.
CANNOT_START = 126
#: A program needs so much to say what is wrong; beyond a smaller limit it is measured.
LEAST_FILE_BYTES = 64 * 1024**2
LEAST_MEMORY_BYTES = 256 * 1024**2
#: With their threads; the kernel counts those of an account, so a worker needs one of its own.
PROCESSES_LIMIT = 1024
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000
_HEARD = {signal.SIGTERM, signal.SIGCHLD}


def lease_until(lease: Path) -> float:
    """Return when a lease is over on the clock of leases; long ago if its file is gone."""
    try:
        return lease.stat().st_mtime
    except OSError:
        return 0.0


def renew(lease: Path, until: float) -> None:
    """Let a worker run until then.

    The file is empty and its time says it: that takes one step, and no room on a full disk.
    """
    with contextlib.suppress(FileNotFoundError):  # the attempt ended meanwhile
        os.utime(lease, (until, until))


def boot_seconds() -> float:
    """Return the clock of leases: the same in all processes, and it counts while a host sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Guard:
    """Watches one worker to its end."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._standing = False
        self._kill_at: float | None = None
        signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        _call("prctl", _PR_SET_CHILD_SUBREAPER, 1)
        # A guard has one thread: what runs between fork and exec is safe.
        self._worker = subprocess.Popen(options.command, preexec_fn=self._confine)

    def watch(self) -> int:
        """Return the exit code of the worker, once it and all it started are gone."""
        while (code := self._reaped()) is None:
            heard = signal.sigtimedwait(_HEARD, POLL_SECONDS)
            if heard is not None and heard.si_signo == signal.SIGTERM:
                self._ask_to_end()
            self._mind_lease()
        while _signal_all(descendants(os.getpid()), signal.SIGKILL):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)
        return code

    def _reaped(self) -> int | None:
        """Take the exit of every child that ended; return the worker's."""
        with contextlib.suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                if ended[0] == self._worker.pid:
                    return os.waitstatus_to_exitcode(ended[1])
        return None

    def _ask_to_end(self) -> None:
        """Ask only the worker: it alone knows how to save what it has."""
        self._stand_still(False)  # a stopped process sees SIGTERM only once it goes on
        os.kill(self._worker.pid, signal.SIGTERM)
        if self._kill_at is None:
            self._kill_at = boot_seconds() + self._options.grace_seconds

    def _mind_lease(self) -> None:
        now = boot_seconds()
        if self._kill_at is not None:
            if now > self._kill_at:
                _signal_all(descendants(os.getpid()), signal.SIGKILL)
            return
        until = lease_until(self._options.lease)
        if now > until + self._options.abandon_seconds:
            self._ask_to_end()
        elif self._standing or now > until:
            self._stand_still(now > until)

    def _stand_still(self, still: bool) -> None:
        if still or self._standing:
            number = signal.SIGSTOP if still else signal.SIGCONT
            _signal_all(descendants(os.getpid()), number)
        self._standing = still

    def _confine(self) -> None:
        options = self._options
        if options.no_network:
            leave_network()
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file holds records
        for limit, value in (
            (resource.RLIMIT_FSIZE, max(options.file_bytes, LEAST_FILE_BYTES)),
            (resource.RLIMIT_DATA, max(options.memory_bytes, LEAST_MEMORY_BYTES)),
        ):
            _, hard = resource.getrlimit(limit)
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(limit, (value, value))
        if options.user is not None:
            resource.setrlimit(resource.RLIMIT_NPROC, (PROCESSES_LIMIT, PROCESSES_LIMIT))
            os.setgroups([])  # none of the agent's groups
            os.setgid(options.group)
            os.setuid(options.user)
        _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)


def descendants(ancestor: int) -> list[int]:
    """Return all processes below one, by what the kernel says now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                # The name before it is in brackets and may hold anything, brackets too.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [ancestor]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _signal_all(processes: Sequence[int], number: signal.Signals) -> bool:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
    return bool(processes)


def leave_network() -> None:
    """Move into a network that has no way out; who is not root needs a user namespace for it."""
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        _call("unshare", _CLONE_NEWNET)
        return
    _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{group} {group} 1")


def _call(name: str, *arguments: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, name)(*(ctypes.c_ulong(argument) for argument in arguments)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("lease", type=Path)
    parser.add_argument("exit", type=Path)
    parser.add_argument("--abandon-seconds", type=float, required=True)
    parser.add_argument("--grace-seconds", type=float, required=True)
    parser.add_argument("--file-bytes", type=int, required=True)
    parser.add_argument("--memory-bytes", type=int, required=True)
    parser.add_argument("--user", type=int)
    parser.add_argument("--group", type=int)
    parser.add_argument("--no-network", action="store_true")
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


def main() -> None:
    """Guard a worker, and leave its exit code in a file."""
    options = _parse()
    os.umask(0o077)
    try:
        code = Guard(options).watch()
    except (OSError, subprocess.SubprocessError) as error:
        sys.stderr.write(f"the worker cannot be started: {error}\n")
        code = CANNOT_START
    descriptor = os.open(options.exit, os.O_WRONLY | os.O_CREAT, 0o600)
    os.pwrite(descriptor, str(code).encode().ljust(len(NO_EXIT)), 0)  # in one step, in its place


if __name__ == "__main__":
    main()
