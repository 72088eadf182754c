"""Workers with accounts and a network of their own; what a host cannot do is refused."""

import os
import pwd
from dataclasses import replace

import pytest

from adaptery.errors import InvalidInputError, NoAgentError
from adaptery_network.agent.guard import PROCESSES_LIMIT
from adaptery_network.agent.isolation import Account, Isolation, isolate
from adaptery_network.agent.worker import WorkerSettings
from support.agent_side.orders import order
from support.agent_side.specs import make_spec
from support.waiting import eventually

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root may start workers as others")
NOBODY = pwd.getpwnam("nobody")
#: Writes down what it is, what it sees, and that it may not look around.
CURIOUS = """
{ id -u; id -G; umask; grep processes /proc/self/limits; wc -l < /proc/net/route
  ls ../.. 2>&1 | tail -1; cat ../attempt.json 2>&1 | tail -1; cat inputs/0/manifest.json; } > told
while :; do sleep 1; done
"""


def told_by(bench, spec):
    path = bench.folders.attempt(spec.attempt).work / "told"
    return path.read_text() if path.exists() else ""


def isolated(bench, **isolation):
    bench.worker = replace(
        bench.worker,
        command=("/bin/sh", "-c", CURIOUS),
        isolation=Isolation(**isolation),
    )
    bench.slots = bench.new_slots(2)


@as_root
async def test_a_worker_has_its_own_account_and_reads_only_what_is_its_own(bench):
    await bench.behave("finish")
    for folder in (bench.folders.root, bench.folders.attempts):
        folder.chmod(0o711)
    isolated(bench, accounts=(Account(NOBODY.pw_uid, NOBODY.pw_gid),), network=False)
    spec, second = make_spec(), make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)
    await eventually(lambda: told_by(bench, spec).endswith("{}"))
    user, groups, mask, processes, routes, listing, record, _ = told_by(bench, spec).splitlines()
    assert int(user) == NOBODY.pw_uid
    assert groups.split() == [str(NOBODY.pw_gid)]
    assert int(mask, 8) == 0o077
    assert processes.split()[2:4] == [str(PROCESSES_LIMIT)] * 2
    assert int(routes) <= 1, "a table without a route has its heading at most"
    assert "denied" in listing
    assert "denied" in record
    with pytest.raises(NoAgentError):  # one account, one worker at a time
        await order(bench.slots, second)
    await bench.slots.drain(5)
    assert desk.finish["outcome"] == "lost"
    assert not bench.left()


def problems_of(*users, slots=1):
    with pytest.raises(InvalidInputError) as caught:
        isolate(users, slots, network=True)
    return " ".join(problem.reason for problem in caught.value.errors)


def test_accounts_that_keep_nobody_apart_are_refused():
    assert "no account nosuch" in problems_of("nosuch")
    assert "root's" in problems_of("root")
    assert "named twice" in problems_of("nobody", "nobody")
    assert "2 slots" in problems_of("nobody", slots=2)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may")
def test_who_is_not_root_cannot_start_workers_as_others():
    assert "only root" in problems_of("nobody")


def test_nothing_asked_is_nothing_done():
    assert isolate((), 4, network=True) == Isolation() == WorkerSettings().isolation
