"""The session of an attempt over HTTPS, as `agent.lines.Line` has it.

Invariants:
- a service or proxy that is away, slow or answers nonsense is away: it is asked again;
- a session that is not known any more is a lost lease: the worker ends, and says no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import httpx

from adaptery.errors import (
    DeadlineError,
    InvalidInputError,
    LeaseLostError,
    NotAuthenticatedError,
    UnavailableError,
    from_problem,
)
from adaptery.schemas.worker import Hold, TicketUse, pack, unpack
from adaptery_network.agent.lines import LineKind

ANSWER_SECONDS = 30.0
_PROBLEM = "application/problem+json"


class HttpLine:
    """One session with the service."""

    def __init__(self, client: httpx.AsyncClient, hold: Hold) -> None:
        self._client = client
        self._path = f"api/worker/attempts/{hold.attempt}"
        self._token = hold.session

    async def request(
        self, kind: LineKind, header: Mapping[str, object], blob: bytes = b""
    ) -> tuple[dict[str, object], bytes]:
        """Ask the service something; see `Line.request`.

        Raises:
            UnavailableError: it is away.
            DeadlineError: it does not answer in time.
            LeaseLostError: it knows the session no more.
            AdapteryError: whatever it answers with.
        """
        message = pack(dict(header), blob)
        try:
            answer = await _post(self._client, self._path, self._token, message)
        except NotAuthenticatedError:
            raise LeaseLostError("The session is over.") from None
        try:
            said, piece = unpack(answer)
        except InvalidInputError:
            raise UnavailableError("What answers is not Adaptery.") from None
        token = said.pop("session", None)
        if isinstance(token, str):
            self._token = token
        return said, piece


async def use_ticket(client: httpx.AsyncClient, key: str, use: TicketUse) -> Hold:
    """Have the service lease the job of a ticket.

    Raises:
        AdapteryError: it does not.
    """
    answer = await _post(client, "api/worker/tickets", key, use.model_dump_json().encode())
    return Hold.model_validate_json(answer)


async def _post(client: httpx.AsyncClient, path: str, token: str, body: bytes) -> bytes:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/octet-stream"}
    try:
        answer = await client.post(path, content=body, headers=headers)
    except httpx.TimeoutException:
        raise DeadlineError() from None
    except httpx.HTTPError:
        raise UnavailableError("The service cannot be reached.") from None
    if answer.status_code == 200:
        return answer.content
    if answer.headers.get("Content-Type") != _PROBLEM:  # of a proxy before the service
        raise UnavailableError(f"The service is away (HTTP status {answer.status_code}).")
    raise from_problem(cast("dict[str, object]", answer.json()))
