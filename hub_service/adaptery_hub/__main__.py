"""`python -m adaptery_hub`: the managed command. Starts broker, store, service and local agent.

`configure(c, ...)` writes this command line into the Hub's configuration. It holds ports and paths
only; secrets lie in files below the state folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from adaptery_hub.supervisor import ChildSpec, supervise


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the children until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m adaptery_hub", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the service's settings file")
    parser.add_argument("--broker-port", type=int, help="start a broker on this loopback port")
    parser.add_argument("--agent-dir", type=Path, help="start an agent that keeps its state here")
    options = parser.parse_args(arguments)
    logging.basicConfig(
        level=logging.INFO, format="[%(levelname)1.1s %(asctime)s %(name)s] %(message)s"
    )
    asyncio.run(supervise(children(options.config, options.broker_port, options.agent_dir)))


def children(config: Path, broker_port: int | None, agent_dir: Path | None) -> list[ChildSpec]:
    """Return what to run, in the order of the start.

    Making the broker's command also makes the network's keys on the first start, before anything
    else could want them.
    """
    specs: list[ChildSpec] = []
    settings = json.loads(config.read_text())["ServiceSettings"] if config.exists() else {}
    if broker_port is not None:
        from adaptery_network.broker import broker_command

        state_dir = Path(settings["state_dir"])
        specs.append(ChildSpec("broker", broker_command(state_dir, broker_port), {}))
    if settings.get("object_store") == "seaweedfs":
        specs.append(_store(settings))
    service = [sys.executable, "-m", "adaptery_hub.app", "--config", str(config)]
    specs.append(ChildSpec("service", service, {}, calls_hub=True))
    if agent_dir is not None:
        agent = [sys.executable, "-m", "adaptery", "agent", "run", "--state", str(agent_dir)]
        specs.append(ChildSpec("agent", agent, {}))
    return specs


def _store(settings: Mapping[str, Any]) -> ChildSpec:
    from adaptery_hub.objects import seaweedfs

    port = int(settings.get("seaweedfs_port", seaweedfs.DEFAULT_PORT))
    command = seaweedfs.seaweedfs_command(Path(settings["state_dir"]), port)
    left = seaweedfs.leftovers(port)
    return ChildSpec("store", command, seaweedfs.ENVIRONMENT, leftovers=left)


if __name__ == "__main__":
    main()
