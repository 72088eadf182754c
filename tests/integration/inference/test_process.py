"""The serve command as an agent runs it: token file, ready file, SIGTERM."""

import json
import signal
import stat
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from support.waiting import eventually_sync

BODY = {"prompt": "Hello", "max_tokens": 450, "temperature": 0, "ignore_eos": True, "stream": True}


def test_sigterm_lets_a_running_answer_finish_and_leaves_nothing(
    base: Path, tmp_path: Path
) -> None:
    token, ready = tmp_path / "token", tmp_path / "ready.json"
    token.write_text("secret\n")
    words = ["--model", base, "--token-file", token, "--ready-file", ready, "--threads", "1"]
    command = [sys.executable, "-m", "adaptery_inference", "serve", *map(str, words)]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        eventually_sync(ready.exists, timeout_seconds=90)
        said = json.loads(ready.read_text())
        assert said["pid"] == process.pid
        assert not stat.S_IMODE(ready.stat().st_mode) & stat.S_IWOTH
        url = f"http://127.0.0.1:{said['port']}"
        with (
            httpx.Client(base_url=url, headers={"Authorization": "Bearer secret"}) as client,
            client.stream("POST", "/v1/completions", json=BODY, timeout=60) as response,
        ):
            lines = response.iter_lines()
            assert next(lines).startswith("data:")
            process.send_signal(signal.SIGTERM)
            assert list(lines)[-2] == "data: [DONE]"
        assert process.wait(timeout=30) == 0
        assert not ready.exists()
        assert "secret" not in (tmp_path / "log").read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("model", "device", "reason"),
    [("none", "cpu", "no converted base model"), ("base", "cuda:99", "no device 'cuda:99'")],
)
def test_what_is_not_there_ends_with_a_reason(
    base: Path, tmp_path: Path, model: str, device: str, reason: str
) -> None:
    (tmp_path / "token").write_text("secret")
    folder = base if model == "base" else tmp_path
    words = ["--model", str(folder), "--token-file", str(tmp_path / "token"), "--device", device]
    done = subprocess.run(
        [sys.executable, "-m", "adaptery_inference", "serve", *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    assert reason in done.stderr
    assert "Traceback" not in done.stderr
