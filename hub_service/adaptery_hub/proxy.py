"""The Hub's proxy where node is missing: traefik, which comes up clean and ends with its Hub.

The class that it extends takes up what the run before left. After a Hub that was killed that is a
password nobody knows any more, and a traefik that holds the ports: the Hub would not start again.

Invariants:

1. No traefik outlives its Hub (Linux); one that did all the same is ended by the next start.
2. Nothing is ended, and no file touched, while another Hub runs with the same folder.
3. Ended is only a traefik of this account that was started with this folder's own file.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from subprocess import Popen

import psutil
from jupyterhub_traefik_proxy.fileprovider import TraefikFileProviderProxy

from adaptery_hub.orphans import end_with_parent

#: How long an old traefik may take to end by itself, in seconds.
END_SECONDS = 5.0


class HubTraefikProxy(TraefikFileProviderProxy):
    """traefik as a child of the Hub."""

    _lock: int | None = None

    async def start(self) -> None:
        """Remove what an earlier run left, then start traefik.

        Raises:
            RuntimeError: another Hub runs with the same folder.
        """
        static_file = Path(self.static_config_file).absolute()
        self._keep_others_out(static_file.with_name("hub.lock"))
        for process in left_behind(static_file):
            self.log.warning("Ending traefik of an earlier run [pid=%i].", process.pid)
            end(process)
        static_file.unlink(missing_ok=True)
        Path(self.dynamic_config_file).unlink(missing_ok=True)
        await super().start()

    def _keep_others_out(self, path: Path) -> None:
        """Hold a lock that the kernel takes back when this Hub ends, however it ends."""
        if self._lock is not None:
            return
        self._lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(
                f"Another Hub runs with the folder {path.parent}: end it, or give this one "
                "a state_dir of its own."
            ) from None

    def _start_traefik(self) -> None:
        self.traefik_process = Popen(
            _command(Path(self.static_config_file).absolute()),
            env={**os.environ, **self.traefik_env},
            preexec_fn=end_with_parent,
        )


def left_behind(static_file: Path) -> list[psutil.Process]:
    """Return the traefiks of this account that were started with a file, of whatever parent."""
    words = _command(static_file)[1:]
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            line = process.cmdline()
            ours = Path(line[0]).name == "traefik" if line else False
            if ours and line[1:] == words and process.uids().real == os.getuid():
                found.append(process)
        except psutil.Error:
            continue  # gone, or another account's
    return found


def end(process: psutil.Process) -> None:
    """Ask a process to end, and kill it if it does not."""
    try:
        process.terminate()
        process.wait(END_SECONDS)
    except psutil.TimeoutExpired:
        process.kill()
        process.wait(END_SECONDS)
    except psutil.NoSuchProcess:
        return


def _command(static_file: Path) -> list[str]:
    return ["traefik", "--configfile", str(static_file)]
