"""What live agents say that their workers have, as the check of options wants to know it."""

from __future__ import annotations

from collections.abc import Iterable

from adaptery_hub.fleet.live import AgentView
from adaptery_hub.tasks import Machine


def machines_with(views: Iterable[AgentView], weight_digest: str | None) -> list[Machine]:
    """Returns the machines that a job on these base weights may be given to."""
    return [
        machine_of(view)
        for view in views
        if view.state == "live" and weight_digest is not None and view.holds(weight_digest)
    ]


def machine_of(view: AgentView) -> Machine:
    """Returns what an agent's last heartbeat says; earlier releases say nothing of packages."""
    gpus = view.beat.load.get("gpu")
    return Machine(
        gpu=bool(gpus) if isinstance(gpus, list) else None,
        bitsandbytes=_has(view, "bitsandbytes"),
        flash_attn=_has(view, "flash_attn"),
    )


def _has(view: AgentView, package: str) -> bool | None:
    """Source: `adaptery_network.agent.heartbeats.worker_features`."""
    if f"with:{package}" in view.beat.features:
        return True
    return False if f"without:{package}" in view.beat.features else None
