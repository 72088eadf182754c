"""Environments of other people's clients, unmodified and pinned: each in a venv of its own.

They live in `build/clients` and are made once; a change of the pins makes them anew.
"""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CLIENTS = REPOSITORY / "build" / "clients"
INSTALL_SECONDS = 900


@dataclass(frozen=True)
class Environment:
    """A venv by name, with what is installed in it."""

    name: str
    requirements: tuple[str, ...]

    @property
    def folder(self) -> Path:
        return CLIENTS / self.name

    def python(self) -> Path:
        """Return its Python; makes the venv where there is none, and skips where that cannot be."""
        python = self.folder / "bin" / "python"
        marker = self.folder / "ready"
        wanted = hashlib.sha256("\n".join(self.requirements).encode()).hexdigest()
        if marker.exists() and marker.read_text() == wanted:
            return python
        install = [str(python), "-m", "pip", "install", "-q", *self.requirements]
        try:
            subprocess.run([sys.executable, "-m", "venv", "--clear", self.folder], check=True)
            subprocess.run(install, check=True, capture_output=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.SubprocessError):
            pytest.skip(f"{', '.join(self.requirements)} cannot be installed here")
        marker.write_text(wanted)
        return python


def install_wheel(python: Path, folder: Path) -> None:
    """Build this repository's wheel in `folder` and install it; what it needs must be there."""
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, REPOSITORY]
    subprocess.run(build, check=True, capture_output=True, timeout=INSTALL_SECONDS)
    (wheel,) = folder.glob("*.whl")
    options = ["-q", "--no-deps", "--force-reinstall"]
    subprocess.run([python, "-m", "pip", "install", *options, wheel], check=True)
