"""What the children of the supervisor inherit."""

import asyncio
import sys
from pathlib import Path

import pytest

from adaptery_hub.__main__ import children
from adaptery_hub.supervisor import Child, ChildSpec

#: By both names that JupyterHub gives it.
NAMES = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")
PROGRAM = (
    f"import os,sys; open(sys.argv[1],'w').write(' '.join(os.environ.get(n,'-') for n in {NAMES}))"
)


@pytest.mark.parametrize("calls_hub", [True, False])
async def test_only_who_calls_the_hub_gets_its_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, calls_hub: bool
) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "of-the-service")
    said = tmp_path / "said"
    command = [sys.executable, "-c", PROGRAM, str(said)]
    child = Child(ChildSpec("child", command, {}, calls_hub=calls_hub))
    child.start()
    async with asyncio.timeout(20):
        while not (said.exists() and said.read_text()):
            await asyncio.sleep(0.02)
    await child.stop()
    assert said.read_text() == ("of-the-service of-the-service" if calls_hub else "- -")


def test_that_is_the_service_alone(tmp_path: Path) -> None:
    specs = children(tmp_path / "service.json", None, tmp_path / "agent")
    assert {spec.name for spec in specs if spec.calls_hub} == {"service"}
