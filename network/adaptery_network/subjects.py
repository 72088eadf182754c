"""The subjects of the overlay: who speaks where.

For: building and reading subjects, so that no other module writes one by hand. Not for permissions,
which the broker enforces (`broker.permissions`).

What always holds:
- A subject holds opaque ids only; an id that is not one never becomes part of a subject.
- Classes in the order in which they matter when a link is busy: health, control, report, infer,
  bulk.

    ad.<owner>.health.<agent>    agent → service     heartbeat, every 2 s ad.<owner>.control.<agent>
    service → agent     sealed orders, request and reply ad.<owner>.report.<agent>    agent →
    service     events, lease renewal, outcome, request and reply ad.<owner>.infer.<agent>
    service → agent     sealed requests; frames come back to the inbox ad.<owner>.bulk.<agent>
    agent → service     chunks of files, request and reply ad.<owner>.join              newcomer →
    service  the join handshake _INBOX_<user>.…              replies; each user of the broker has
    its own prefix
"""

from __future__ import annotations

import re
from typing import Final

from adaptery.ids import is_id

__all__ = [
    "SERVICE_INBOX",
    "agent_of",
    "bulk",
    "bulks",
    "control",
    "for_verb",
    "health",
    "healths",
    "inbox_prefix",
    "infer",
    "join",
    "report",
    "reports",
    "sealed_reply",
]

#: Inbox prefix of the service's user.
SERVICE_INBOX: Final = "_INBOX_service"

_ANY: Final = "*"
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")


def _subject(owner: str, kind: str, agent: str) -> str:
    if not is_id(owner, "ow") or not (agent == _ANY or is_id(agent, "ag")):
        raise ValueError("a subject is made of an owner id and an agent id")
    return f"ad.{owner}.{kind}.{agent}"


def health(owner: str, agent: str) -> str:
    """Return the subject of an agent's heartbeats."""
    return _subject(owner, "health", agent)


def control(owner: str, agent: str) -> str:
    """Return the subject of an agent's sealed orders."""
    return _subject(owner, "control", agent)


def report(owner: str, agent: str) -> str:
    """Return the subject of an agent's events, lease renewals and outcomes."""
    return _subject(owner, "report", agent)


def infer(owner: str, agent: str) -> str:
    """Return the subject of an agent's sealed inference requests."""
    return _subject(owner, "infer", agent)


def bulk(owner: str, agent: str) -> str:
    """Return the subject of an agent's file chunks."""
    return _subject(owner, "bulk", agent)


def healths(owner: str) -> str:
    """Return what the service subscribes to for all heartbeats of an owner's agents."""
    return _subject(owner, "health", _ANY)


def reports(owner: str) -> str:
    """Return what the service subscribes to for all reports of an owner's agents."""
    return _subject(owner, "report", _ANY)


def bulks(owner: str) -> str:
    """Return what the service subscribes to for all file chunks of an owner's agents."""
    return _subject(owner, "bulk", _ANY)


def join(owner: str) -> str:
    """Return the subject of the join handshake."""
    if not is_id(owner, "ow"):
        raise ValueError("a subject is made of an owner id")
    return f"ad.{owner}.join"


def sealed_reply(grant_nonce: str) -> str:
    """Return where the reply to the one request of a grant comes: an inbox of the service.

    Raises:
        ValueError: if the nonce is none.
    """
    if not _NONCE.fullmatch(grant_nonce):
        raise ValueError("an inbox is named by the nonce of a grant")
    return f"{SERVICE_INBOX}.{grant_nonce}"


def for_verb(verb: str, owner: str, agent: str) -> str:
    """Return where an agent takes requests with this verb."""
    return infer(owner, agent) if verb in {"infer", "embed"} else control(owner, agent)


def agent_of(subject: str) -> str:
    """Return the agent that a subject names; the broker has checked that it was this agent.

    Raises:
        ValueError: if the subject names no agent.
    """
    agent = subject.rpartition(".")[2]
    if not is_id(agent, "ag"):
        raise ValueError("the subject names no agent")
    return agent


def inbox_prefix(name: str) -> str:
    """Return the inbox prefix of an agent or of a join token."""
    if not (is_id(name, "ag") or is_id(name, "jt")):
        raise ValueError("an inbox belongs to an agent or a join token")
    return f"_INBOX_{name}"
