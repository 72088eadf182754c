"""What a worker wrote is read from its own plain files, whatever it puts in their place."""

import logging
import os
import pwd
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from adaptery.errors import IntegrityError
from adaptery_network.agent.isolation import Account, Isolation
from adaptery_network.agent.work_files import OpenFolder
from support.agent_side.orders import order
from support.agent_side.specs import make_spec
from support.waiting import eventually

SECRET = b"of another tenant"
MINE = b"mine"
#: A Python that an account without rights may run.
PYTHON = shutil.which("python3", path="/usr/bin:/usr/local/bin")
#: Has the agent send a checkpoint again and again, while the file, its folder, the folder above and
#: the event file are each replaced by a link to somebody else's and back.
SWAPPING = """
import itertools, json, os, sys, time
theirs = sys.argv[1]
os.makedirs("checkpoints/step-1")
open("mine.jsonl", "x").close()

def write(name):
    with open("draft", "w") as stream:
        stream.write("mine")
    os.rename("draft", name)

def link(target, name):
    os.symlink(target, "link")
    os.rename("link", name)

def swap(name, target):
    os.rename(name, "away")
    os.symlink(target, name)
    time.sleep(0.001)
    os.remove(name)
    os.rename("away", name)
    time.sleep(0.001)

def tell(seq):
    event = {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "checkpoint", "step": 1,
             "path": "checkpoints/step-1", "digest": "sha256:" + "0" * 64}
    with open("mine.jsonl", "a") as stream:
        stream.write(json.dumps(event) + chr(10))
    link(theirs + "/events.jsonl", "events.jsonl")
    time.sleep(0.01)
    os.link("mine.jsonl", "link")
    os.rename("link", "events.jsonl")

weights = "/checkpoints/step-1/state.bin"
for round in itertools.count(1):
    write("." + weights)
    tell(round)
    for _ in range(5):
        link(theirs + weights, "." + weights)
        time.sleep(0.001)
        write("." + weights)
        time.sleep(0.001)
        swap("checkpoints/step-1", theirs + "/checkpoints/step-1")
        swap("checkpoints", theirs + "/checkpoints")
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "state.bin").write_bytes(MINE)
    return folder


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The work folder of another tenant's attempt."""
    folder = tmp_path / "theirs" / "checkpoints" / "step-1"
    folder.mkdir(parents=True)
    (folder / "state.bin").write_bytes(SECRET)
    told = b'{"seq":900000,"at":"2026-01-01T00:00:00Z","kind":"log","message":"theirs"}\n'
    (tmp_path / "theirs" / "events.jsonl").write_bytes(told)
    return tmp_path / "theirs"


def test_its_own_plain_files_are_read(work: Path) -> None:
    with OpenFolder(work, "checkpoints") as folder:
        assert folder.names() == ["state.bin"]
        with folder.open("state.bin") as stream:
            assert stream.read() == MINE


def test_a_folder_that_was_opened_stays_the_same(work: Path, theirs: Path) -> None:
    with OpenFolder(work, "checkpoints") as folder:
        (work / "checkpoints").rename(work / "away")
        (work / "checkpoints").symlink_to(theirs / "checkpoints" / "step-1")
        with folder.open("state.bin") as stream:
            assert stream.read() == MINE


def test_no_link_is_followed(work: Path, theirs: Path) -> None:
    (work / "above").symlink_to(theirs / "checkpoints")
    (work / "checkpoints" / "link").symlink_to(theirs / "events.jsonl")
    for path in ("above", "above/step-1", "../theirs", "/etc", "checkpoints/state.bin"):
        with pytest.raises(IntegrityError):
            OpenFolder(work, path)
    with OpenFolder(work, "checkpoints") as folder, pytest.raises(IntegrityError):
        folder.open("link")


def test_only_plain_files_are_opened_and_nothing_is_waited_for(work: Path) -> None:
    os.mkfifo(work / "pipe")
    with socket.socket(socket.AF_UNIX) as listener, OpenFolder(work) as folder:
        listener.bind(str(work / "socket"))
        for name in ("pipe", "socket", "checkpoints"):
            with pytest.raises(IntegrityError):
                folder.open(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
def test_nobody_elses_file_is_opened_under_a_second_name(work: Path, theirs: Path) -> None:
    os.chown(work, 65534, 65534)
    os.link(theirs / "events.jsonl", work / "events.jsonl")
    with OpenFolder(work) as folder, pytest.raises(IntegrityError):
        folder.open("events.jsonl")


@pytest.mark.skipif(os.geteuid() != 0 or PYTHON is None, reason="needs root and a public python3")
async def test_a_worker_that_swaps_its_files_for_links_has_only_its_own_sent(
    bench, theirs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await bench.behave("finish")
    for folder in (bench.folders.root, bench.folders.attempts):
        folder.chmod(0o711)
    nobody = pwd.getpwnam("nobody")
    bench.worker = replace(
        bench.worker,
        command=(PYTHON, "-c", SWAPPING, str(theirs)),
        isolation=Isolation(accounts=(Account(nobody.pw_uid, nobody.pw_gid),)),
    )
    bench.slots = bench.new_slots()
    spec = make_spec()
    desk = bench.desk(spec)
    await order(bench.slots, spec)

    def both_seen() -> bool:
        refused = caplog.text.count("is not sent") + caplog.text.count("was replaced")
        return len(desk.commits) > 4 and refused > 4

    await eventually(both_seen, timeout_seconds=60)
    await bench.slots.drain(5)
    assert {bytes(data) for data in desk.received.values()} <= {MINE, b""}
    assert 900_000 not in desk.events
