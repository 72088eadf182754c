"""A machine of ClearML's workers: the real `clearml-agent` and SDK, and this repository.

They live in an environment of their own, which also sees the packages of the tests: the SDK's own
requirements come first there.
"""

from __future__ import annotations

import asyncio
import json
import os
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adaptery.files import write_atomic
from support.clearml_stage import ClearmlServer
from support.client_environments import Environment

MACHINE = Environment("clearml-agent", ("clearml==2.1.12", "clearml-agent==3.0.3"))


@dataclass(frozen=True)
class ClearmlMachine:
    """One machine, with a folder of its own."""

    folder: Path
    server: ClearmlServer
    settings: Mapping[str, Any]

    async def start(self, task: str) -> asyncio.subprocess.Process:
        """Begin a task as `clearml-agent` does for one that it takes from a queue."""
        python = MACHINE.python()
        ours = (sysconfig.get_path("purelib"), *_editable())
        (found,) = (MACHINE.folder / "lib").glob("python3*/site-packages")
        (found / "adaptery-tests.pth").write_text("\n".join(ours) + "\n")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "worker.json", json.dumps(dict(self.settings)).encode(), 0o600)
        with (self.folder / "agent.log").open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *(str(python), "-m", "clearml_agent", "execute", "--id", task),
                cwd=self.folder,
                env=self._environment(python),
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        """What the agent and the worker wrote."""
        return (self.folder / "agent.log").read_text(errors="replace")

    def _environment(self, python: Path) -> dict[str, str]:
        server = self.server
        return {
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "ADAPTERY_CLEARML_WORKER": str(self.folder / "worker.json"),
            "CLEARML_API_HOST": server.api_url,
            "CLEARML_WEB_HOST": server.api_url,
            "CLEARML_FILES_HOST": server.files_url,
            "CLEARML_API_ACCESS_KEY": server.key.access_key,
            "CLEARML_API_SECRET_KEY": server.key.secret_key,
            "CLEARML_API_DEFAULT_REQ_METHOD": "POST",
            "CLEARML_CACHE_DIR": str(self.folder / "cache"),
            "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1",
            "CLEARML_AGENT_SKIP_PIP_VENV_INSTALL": str(python),
        }


def _editable() -> list[str]:
    """Return the folders of this repository's packages, which an editable install names."""
    site = Path(sysconfig.get_path("purelib"))
    return [
        line
        for path in site.glob("*adaptery*.pth")
        for line in path.read_text().splitlines()
        if line.startswith("/")
    ]
