"""Who may publish and subscribe where: the broker's half of isolation.

For: the allow lists of each kind of user. Not for isolation of adapters, which is by grant and
seal: these lists limit what a stolen credential can disturb.

What always holds:
- Only the service publishes on `control` and `infer`.
- An agent publishes only its own `health`, `report` and `bulk`, and answers; it subscribes only to
  its own subjects and its own inbox.
- A join token's user can do nothing but the handshake.
"""

from __future__ import annotations

from typing import Final

from adaptery_network import subjects
from adaptery_network.broker.jwts import UserPermissions

__all__ = ["SYSTEM_INBOX", "agent", "join_only", "service", "system"]

SYSTEM_INBOX: Final = "_INBOX_system"


def agent(owner: str, agent_id: str) -> UserPermissions:
    """Return what an agent may do."""
    return UserPermissions(
        publish=(
            subjects.health(owner, agent_id),
            subjects.report(owner, agent_id),
            subjects.bulk(owner, agent_id),
        ),
        subscribe=(
            subjects.control(owner, agent_id),
            subjects.infer(owner, agent_id),
            subjects.bulk(owner, agent_id),
            f"{subjects.inbox_prefix(agent_id)}.>",
        ),
        responses=True,
    )


def service(owner: str) -> UserPermissions:
    """Return what the service may do."""
    return UserPermissions(
        publish=(f"ad.{owner}.control.*", f"ad.{owner}.infer.*", f"ad.{owner}.bulk.*"),
        subscribe=(
            subjects.healths(owner),
            subjects.reports(owner),
            subjects.bulks(owner),
            subjects.join(owner),
            f"{subjects.SERVICE_INBOX}.>",
        ),
        responses=True,
    )


def join_only(owner: str, token_id: str) -> UserPermissions:
    """Return what the holder of a join token may do."""
    return UserPermissions(
        publish=(subjects.join(owner),),
        subscribe=(f"{subjects.inbox_prefix(token_id)}.>",),
    )


def system() -> UserPermissions:
    """Return what the user of the system account may do: replace account JWTs and look them up."""
    return UserPermissions(
        publish=("$SYS.REQ.CLAIMS.UPDATE", "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP"),
        subscribe=(f"{SYSTEM_INBOX}.>",),
    )
