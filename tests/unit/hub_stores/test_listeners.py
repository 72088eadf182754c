"""Whoever listens on the store's ports is its child process, or nothing is sent."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from adaptery.errors import UnavailableError
from adaptery_hub.objects.listeners import OwnPorts

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_port_that_another_took_is_named(tmp_path: Path, address: str) -> None:
    with socket.create_server((address, 0)) as stranger:
        port = stranger.getsockname()[1]
        ports = OwnPorts(tmp_path, [port])
        with pytest.raises(UnavailableError, match=f"port {port} is taken"):
            ports.check()
    ports.check()  # nobody listens: the connection will say so


def test_the_child_is_known_by_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = OwnPorts(tmp_path, [])
    own = Path("/proc/self/cmdline").read_bytes().split(b"\0")[0]
    monkeypatch.setattr(ports, "_option", own)
    with socket.create_server(("127.0.0.1", 0)) as ours:
        monkeypatch.setattr(ports, "_ports", frozenset([ours.getsockname()[1]]))
        ports.check()
