import os
import signal
import sys

import psutil
import pytest

from adaptery_network.agent.processes import (
    ChildProcess,
    clean_environment,
    end_marked,
    find_marked,
)
from support.waiting import eventually

SLEEPER = "import time; time.sleep(600)"
DEAF = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('up'); time.sleep(600)"
)
PARENT = (
    "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time;"
    " time.sleep(600)']); print('up'); time.sleep(600)"
)


async def start(tmp_path, code, **marks):
    return await ChildProcess.start(
        (sys.executable, "-c", code),
        cwd=tmp_path,
        environment=clean_environment(tmp_path, 1, marks),
        log=tmp_path / "log",
    )


def is_up(tmp_path):
    return lambda: "up" in (tmp_path / "log").read_text()


async def test_a_child_gets_a_clean_environment_and_a_private_log(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_AGENT", "s3cret")
    child = await start(tmp_path, "import os; print(sorted(os.environ))", MARK="x")
    assert await child.wait() == 0
    said = (tmp_path / "log").read_text()
    assert "SECRET_OF_THE_AGENT" not in said
    assert "MARK" in said
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


async def test_a_child_leads_its_own_group(tmp_path):
    child = await start(tmp_path, SLEEPER)
    assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    assert await child.stop(5) == -signal.SIGTERM


async def test_a_child_that_ignores_the_request_is_killed_after_the_grace(tmp_path):
    child = await start(tmp_path, DEAF)
    await eventually(is_up(tmp_path))
    assert await child.stop(0.05) == -signal.SIGKILL


async def test_what_a_child_started_ends_with_it(tmp_path):
    child = await start(tmp_path, PARENT, MARK=str(tmp_path))
    await eventually(is_up(tmp_path))
    assert len(find_marked({"MARK": str(tmp_path)})) == 2
    await child.stop(5)
    await eventually(lambda: not find_marked({"MARK": str(tmp_path)}))


async def test_an_orphan_is_known_by_its_marks_and_no_one_else_is_touched(tmp_path):
    mine = await start(tmp_path, DEAF, ATTEMPT=str(tmp_path), FENCE="7")
    newer = await start(tmp_path, SLEEPER, ATTEMPT=str(tmp_path), FENCE="8")
    await eventually(is_up(tmp_path))
    assert end_marked({"ATTEMPT": str(tmp_path), "FENCE": "7"}, 0.05) == 1
    assert not find_marked({"FENCE": "7"})
    assert newer.exit_code is None
    assert end_marked({"ATTEMPT": str(tmp_path), "FENCE": "9"}, 0.05) == 0
    await newer.stop(5)
    await mine.wait()  # here the orphan is our own child


async def test_a_frozen_orphan_is_ended_too(tmp_path):
    child = await start(tmp_path, SLEEPER, ATTEMPT=str(tmp_path))
    psutil.Process(child.pid).suspend()
    assert end_marked({"ATTEMPT": str(tmp_path)}, 5) == 1
    assert not find_marked({"ATTEMPT": str(tmp_path)})
    await child.wait()


async def test_a_command_that_is_not_there_raises(tmp_path):
    with pytest.raises(OSError):
        await ChildProcess.start(
            ("/nowhere/at/all",), cwd=tmp_path, environment={}, log=tmp_path / "log"
        )
