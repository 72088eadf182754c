"""Speaks with one engine over loopback HTTP: adapters in and out, load, streams of chunks.

Not here: starting engines, or deciding who may use one. Invariants:
- the bearer token never leaves this object;
- an error carries what kind it is and what the engine's own error says, never a request body.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path

import aiohttp

from adaptery.errors import (
    ERRORS_BY_CODE,
    AdapteryError,
    ContextLengthError,
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
#: One chunk of a stream is a few hundred bytes; with many alternatives per token, some thousand.
_LINE_LIMIT_BYTES = 1024 * 1024
#: How long the end of the body may be behind the last chunk.
_END_SECONDS = 0.2
_STREAM_TIMEOUT = aiohttp.ClientTimeout(
    total=None, sock_connect=_ANSWER_TIMEOUT_SECONDS, sock_read=_SILENCE_TIMEOUT_SECONDS
)
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
        self._http = aiohttp.ClientSession(
            base_url=f"http://127.0.0.1:{port}",
            headers={"Authorization": f"Bearer {token}"},
            timeout=aiohttp.ClientTimeout(total=_ANSWER_TIMEOUT_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
            trust_env=False,  # a proxy variable must never see a prompt
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Close every connection; requests under way end."""
        await self._http.close()

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
        try:
            async with self._http.post(
                f"/v1/{path}", json=dict(body), timeout=_STREAM_TIMEOUT
            ) as response:
                if not response.ok:
                    raise _error_of(response.status, _object(await response.read()))
                async for line in _lines(response.content):
                    if not line.startswith(b"data:"):
                        continue
                    data = line[len(b"data:") :].strip()
                    if data == b"[DONE]":
                        await _read_to_end(response.content)
                        return
                    chunk = _object(data)
                    if "error" in chunk:
                        raise _error_of(_status_in(chunk), chunk)
                    yield chunk
        except TimeoutError as error:
            raise DeadlineError("The engine fell silent.") from error
        except aiohttp.ClientError as error:
            raise UnavailableError("The engine went away.") from error
        raise UnavailableError("The engine broke off its answer.")

    async def embed(self, texts: Sequence[str]) -> tuple[list[bytes], int, int]:
        """Return the vectors of some texts (little-endian float32), tokens, and texts cut short.

        For a client of an embedder. A call that is cancelled ends the request.

        Raises:
            AdapteryError: what the embedder answered instead, or it does not answer.
        """
        wanted = {"input": list(texts), "encoding_format": "base64"}
        answer = await self._ask("POST", "/v1/embeddings", wanted, _SILENCE_TIMEOUT_SECONDS)
        vectors = [_vector(entry) for entry in _listed(answer.get("data"))]
        usage = answer.get("usage")
        tokens = _whole(usage.get("prompt_tokens")) if isinstance(usage, dict) else 0
        return vectors, tokens, _whole(answer.get("truncated_texts"))

    async def _ask(
        self,
        verb: str,
        path: str,
        body: Mapping[str, object] | None = None,
        timeout_seconds: float = _ANSWER_TIMEOUT_SECONDS,
    ) -> dict[str, object]:
        timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        try:
            async with self._http.request(verb, path, json=body, timeout=timeout) as response:
                content = _object(await response.read())
        except TimeoutError as error:
            raise DeadlineError("The engine does not answer in time.") from error
        except aiohttp.ClientError as error:
            raise UnavailableError("The engine does not answer.") from error
        if not response.ok:
            raise _error_of(response.status, content)
        return content


async def _lines(stream: aiohttp.StreamReader) -> AsyncGenerator[bytes, None]:
    """Yield the lines of a stream; what comes together is not waited for line by line."""
    rest = b""
    async for data in stream.iter_any():
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > _LINE_LIMIT_BYTES:
            raise UnavailableError("The engine sent a line without end.")
    yield rest


async def _read_to_end(stream: aiohttp.StreamReader) -> None:
    """Take the end of the body too, which is on its way: only then the connection is kept."""
    try:
        async with asyncio.timeout(_END_SECONDS):
            await stream.readany()
    except TimeoutError:
        return  # the connection is closed instead


#: What vLLM says then; it gives no code for it. Source: vllm 0.10, `serving_engine.py`.
_OVER_CONTEXT = "maximum context length"


def _error_of(status: int, content: Mapping[str, object]) -> AdapteryError:
    error = content.get("error")
    fields = error if isinstance(error, dict) else {}
    if fields.get("code") in ERRORS_BY_CODE:  # our engine: the error that it raised
        return from_openai(content, status)
    said = fields.get("message")
    message = str(said)[:_MESSAGE_LIMIT_CHARACTERS] if said else None
    if status == HTTPStatus.NOT_FOUND:
        return NotFoundError(message)
    if status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return EngineBusyError(message)
    if _OVER_CONTEXT in (message or ""):
        return ContextLengthError(message)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return InvalidInputError(message)
    return UnavailableError("The engine failed on this request.")


def _status_in(chunk: Mapping[str, object]) -> int:
    error = chunk["error"]
    status = error.get("status") if isinstance(error, dict) else None
    return status if isinstance(status, int) else int(HTTPStatus.INTERNAL_SERVER_ERROR)


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


def _vector(entry: object) -> bytes:
    text = entry.get("embedding") if isinstance(entry, dict) else None
    try:
        return base64.b64decode(text, validate=True) if isinstance(text, str) else b""
    except ValueError:
        return b""  # its length tells


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []
