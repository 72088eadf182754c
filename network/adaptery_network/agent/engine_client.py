"""Speaks with one engine over loopback HTTP: adapters in and out, load, streams of chunks.

Not here: starting engines, or deciding who may use one. Invariants:
- the bearer token never leaves this object;
- an error carries what kind it is and what the engine's own error says, never a request body.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from adaptery.errors import (
    ERRORS_BY_CODE,
    AdapteryError,
    DeadlineError,
    EngineBusyError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
    from_openai,
)

#: A loopback server answers a load question at once, even while it computes.
_ANSWER_TIMEOUT_SECONDS = 10.0
#: Reading an adapter from a slow disk and putting it in place.
_LOAD_TIMEOUT_SECONDS = 60.0
#: The longest silence between two chunks: a prompt may wait behind others and be long itself.
_SILENCE_TIMEOUT_SECONDS = 300.0
_MESSAGE_LIMIT_CHARACTERS = 300


@dataclass(frozen=True)
class EngineLoad:
    """What an engine says about itself."""

    running: int = 0
    waiting: int = 0
    adapters: tuple[str, ...] = field(default_factory=tuple)
    tokens_per_second: float = 0.0


class EngineClient:
    """One engine."""

    def __init__(self, port: int, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=_ANSWER_TIMEOUT_SECONDS,
            trust_env=False,  # a proxy variable must never see a prompt
            limits=httpx.Limits(max_connections=None),
        )

    async def close(self) -> None:
        """Close every connection; requests under way end."""
        await self._http.aclose()

    async def load(self) -> EngineLoad:
        """Return how busy the engine is.

        Raises:
            UnavailableError: it does not answer.
        """
        body = await self._ask("GET", "/v1/load")
        return EngineLoad(
            running=_whole(body.get("running")),
            waiting=_whole(body.get("waiting")),
            adapters=tuple(str(name) for name in _listed(body.get("adapters"))),
            tokens_per_second=_number(body.get("tokens_per_second")),
        )

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Have the engine hold an adapter under a name; already held is fine.

        Raises:
            AdapteryError: the engine refuses or does not answer.
        """
        body = {"lora_name": name, "lora_path": str(folder)}
        try:
            await self._ask("POST", "/v1/load_lora_adapter", body, _LOAD_TIMEOUT_SECONDS)
        except InvalidInputError as error:
            # vLLM answers 400 when the name is loaded already; our engine answers 200.
            if "already" not in str(error):
                raise

    async def unload_adapter(self, name: str) -> None:
        """Have the engine forget an adapter; not held is fine.

        Raises:
            AdapteryError: the engine refuses or does not answer.
        """
        try:
            await self._ask("POST", "/v1/unload_lora_adapter", {"lora_name": name})
        except NotFoundError:
            return

    async def stream(
        self, path: str, body: Mapping[str, object]
    ) -> AsyncGenerator[dict[str, object], None]:
        """Yield the chunks of a streamed completion; closing the iterator ends the request.

        Raises:
            AdapteryError: what the engine answered instead, also in the middle.
        """
        timeout = httpx.Timeout(_ANSWER_TIMEOUT_SECONDS, read=_SILENCE_TIMEOUT_SECONDS)
        try:
            async with self._post(f"/v1/{path}", body, timeout) as response:
                if response.is_error:
                    await response.aread()
                    raise _error_of(response.status_code, _object(response.content))
                async for line in response.aiter_lines():
                    if not line.startswith("data:"):
                        continue
                    data = line[len("data:") :].strip()
                    if data == "[DONE]":
                        return
                    chunk = _object(data)
                    if "error" in chunk:
                        raise _error_of(_status_in(chunk), chunk)
                    yield chunk
        except httpx.TimeoutException as error:
            raise DeadlineError("The engine fell silent.") from error
        except httpx.HTTPError as error:
            raise UnavailableError("The engine went away.") from error
        raise UnavailableError("The engine broke off its answer.")

    def _post(
        self, path: str, body: Mapping[str, object], timeout: httpx.Timeout
    ) -> AbstractAsyncContextManager[httpx.Response]:
        return self._http.stream("POST", path, json=dict(body), timeout=timeout)

    async def _ask(
        self,
        verb: str,
        path: str,
        body: Mapping[str, object] | None = None,
        timeout_seconds: float = _ANSWER_TIMEOUT_SECONDS,
    ) -> dict[str, object]:
        try:
            response = await self._http.request(verb, path, json=body, timeout=timeout_seconds)
        except httpx.TimeoutException as error:
            raise DeadlineError("The engine does not answer in time.") from error
        except httpx.HTTPError as error:
            raise UnavailableError("The engine does not answer.") from error
        content = _object(response.content)
        if response.is_error:
            raise _error_of(response.status_code, content)
        return content


def _error_of(status: int, content: Mapping[str, object]) -> AdapteryError:
    error = content.get("error")
    fields = error if isinstance(error, dict) else {}
    if fields.get("code") in ERRORS_BY_CODE:  # our engine: the error that it raised
        return from_openai(content, status)
    said = fields.get("message")
    message = str(said)[:_MESSAGE_LIMIT_CHARACTERS] if said else None
    if status == httpx.codes.NOT_FOUND:
        return NotFoundError(message)
    if status in (httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE):
        return EngineBusyError(message)
    if httpx.codes.BAD_REQUEST <= status < httpx.codes.INTERNAL_SERVER_ERROR:
        return InvalidInputError(message)
    return UnavailableError("The engine failed on this request.")


def _status_in(chunk: Mapping[str, object]) -> int:
    error = chunk["error"]
    status = error.get("status") if isinstance(error, dict) else None
    return status if isinstance(status, int) else int(httpx.codes.INTERNAL_SERVER_ERROR)


def _object(text: str | bytes) -> dict[str, object]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
