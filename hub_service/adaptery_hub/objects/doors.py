"""Doors of a store that are not S3's, and whether they are shut.

For: the self-test, which knocks as any account of this machine could: without a certificate. Not
for what S3 itself refuses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from adaptery.errors import UnavailableError
from adaptery.schemas.stores import StoreCheck

_TIMEOUT: Final = 10.0
_REFUSALS: Final = frozenset({401, 403})
#: What a server that wants TLS says to who speaks none, in the words of Go's library.
_WANTS_TLS: Final = b"Client sent an HTTP request to an HTTPS server"


@dataclass(frozen=True)
class Door:
    """One request that must be refused."""

    name: str
    method: str
    place: str  # an address without its scheme


def knock(door: Door) -> StoreCheck:
    """Return whether a door is shut, with TLS and without.

    Raises:
        UnavailableError: nobody is behind it.
    """
    found = _plain(door) or _over_tls(door)
    return StoreCheck(name=door.name, held=not found, found=found)


def _plain(door: Door) -> str:
    try:
        answer = httpx.request(door.method, f"http://{door.place}", timeout=_TIMEOUT)
    except httpx.RemoteProtocolError:
        return ""  # it does not speak HTTP
    except httpx.HTTPError as error:
        raise UnavailableError(
            f"The object store did not answer the self-test: {type(error).__name__}."
        ) from None
    return "" if _WANTS_TLS in answer.content else _open(answer)


def _over_tls(door: Door) -> str:
    try:
        # Whose certificate it is does not matter: nothing of ours is sent.
        url = f"https://{door.place}"
        answer = httpx.request(door.method, url, timeout=_TIMEOUT, verify=False)  # noqa: S501
    except httpx.TransportError:
        return ""  # it wants a certificate, or speaks no TLS
    return _open(answer)


def _open(answer: httpx.Response) -> str:
    return "" if answer.status_code in _REFUSALS else f"the store answered {answer.status_code}"
