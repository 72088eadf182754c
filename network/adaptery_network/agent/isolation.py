"""What parts the workers of this host from each other and from the agent, where an operator asks.

Not here: limits, which every worker has (`guard`). Invariants:
- what cannot be kept is refused at the start, in words; a worker never runs with less than asked;
- two workers that run at a time never share an account: their files are closed to each other.
"""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from adaptery.errors import FieldProblem, InvalidInputError, NoAgentError
from adaptery_network.agent import guard


@dataclass(frozen=True)
class Account:
    """An account of the operating system."""

    user: int
    group: int


@dataclass(frozen=True, kw_only=True)
class Isolation:
    """What workers run as."""

    #: One for each slot; empty means the agent's own.
    accounts: tuple[Account, ...] = ()
    network: bool = True

    def free_account(self, users: Collection[int]) -> Account | None:
        """Return an account that is not among these users; None if workers have no own ones.

        Raises:
            NoAgentError: each of them is one of these users.
        """
        if not self.accounts:
            return None
        free = [account for account in self.accounts if account.user not in users]
        if not free:
            raise NoAgentError("This agent has no free account for a worker.")
        return free[0]


def isolate(users: Sequence[str], slots: int, *, network: bool) -> Isolation:
    """Check that this host can keep workers apart as asked.

    Args:
        users: names of accounts, one for each slot; empty for the agent's own.
        slots: how many workers run at a time.
        network: whether workers keep the host's network.

    Raises:
        InvalidInputError: it cannot, with what to do.
    """
    problems = [*_problems_of(users, slots)] if users else []
    if not network and not _can_leave_network():
        problems.append(
            FieldProblem(
                where="worker_network",
                reason="this kernel lets the agent make no network namespace",
                remedy='run the agent as root, allow user namespaces, or set "host"',
            )
        )
    if problems:
        raise InvalidInputError("Workers cannot be isolated as agent.json asks.", errors=problems)
    entries = [pwd.getpwnam(name) for name in users]
    accounts = tuple(Account(entry.pw_uid, entry.pw_gid) for entry in entries)
    return Isolation(accounts=accounts, network=network)


def _problems_of(users: Sequence[str], slots: int) -> list[FieldProblem]:
    def problem(reason: str, remedy: str) -> FieldProblem:
        return FieldProblem(where="worker_users", reason=reason, remedy=remedy)

    known = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    problems = [
        problem(f"there is no account {name}", f"make it: useradd --system {name}")
        for name in users
        if name not in known
    ]
    numbers = [known[name] for name in users if name in known]
    if len(set(numbers)) < len(numbers) or {0, os.geteuid()} & set(numbers):
        problems.append(
            problem("an account is named twice, or is root's", "give each slot one of its own")
        )
    if len(users) < slots:
        problems.append(problem(f"there are {slots} slots", "name an account for each"))
    if os.geteuid() != 0:
        problems.append(problem("only root may start workers as others", "run the agent as root"))
    return problems


def _can_leave_network() -> bool:
    try:
        # Nothing has been started yet: no other thread can hold a lock at the fork.
        subprocess.run(("true",), preexec_fn=guard.leave_network, check=True)
    except (OSError, subprocess.SubprocessError):
        return False
    return True
