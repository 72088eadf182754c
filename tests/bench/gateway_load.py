"""The load of the gateway's benchmark, in a process of its own; prints one line of JSON.

Run as: `python tests/bench/gateway_load.py KIND URL MODEL CONCURRENT SECONDS TOKEN...`. KIND is
`plain` (as many requests as fit), `begun` (as many streams as fit, of one piece each), `paced` (all
streams start together, in rounds), `soak` (each stream is followed by another at once) or `held`
(long streams that start together, once). The tokens take turns.

It shares its core with what serves the answers, so it speaks HTTP by itself: what it takes is no
time that a gateway took.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

import uvloop

WORDS = "Write the visit up as a SOAP note, from what the patient said: a dry cough at night. "
WARM_UP_REQUESTS = 30
#: The streams of a soak begin one after the other, over the length of one.
SPREAD_SECONDS = 40.0
ANSWER_CHARACTERS = 200
#: What is kept of a stream's last bytes, for words that two reads share.
TAIL_BYTES = 16


class Line(asyncio.Protocol):
    """One connection, which carries one request at a time."""

    def __init__(self) -> None:
        self.lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.lost = True
        self._end(False)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._over.done():
            return
        if self._head is None:
            self._seen += data
            head, found, data = self._seen.partition(b"\r\n\r\n")
            if not found:
                return
            self._head, self._seen = head.lower(), b""
            if b" 200 " not in head[:20]:
                self._end(False)
                return
        (self._take_piece if self._streams else self._take_body)(data)

    async def ask(self, request: bytes, *, streams: bool) -> tuple[bool, float]:
        """Send a request; return whether it was answered well, and when its content began."""
        self._streams, self._head, self._seen, self.first = streams, None, b"", 0.0
        self._over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._over, self.first

    def close(self) -> None:
        """Close it."""
        self._transport.close()

    def _take_piece(self, data: bytes) -> None:
        seen = self._seen + data
        if not self.first and (b'"content": "' in seen or b'"content":"' in seen):
            self.first = time.perf_counter()
        if b"data: [DONE]" in seen and seen.endswith(b"0\r\n\r\n"):
            self._end(True)
        keep = seen.find(b"data: [DONE]")
        self._seen = seen[keep:] if keep >= 0 else seen[-TAIL_BYTES:]

    def _take_body(self, data: bytes) -> None:
        self._seen += data
        assert self._head is not None
        if len(self._seen) >= int(self._head.partition(b"content-length: ")[2].split(b"\r", 1)[0]):
            content = json.loads(self._seen)["choices"][0]["message"]["content"]
            self._end(len(content) == ANSWER_CHARACTERS)

    def _end(self, well: bool) -> None:
        if hasattr(self, "_over") and not self._over.done():
            self._over.set_result(well)


class Load:
    """Requests to one server."""

    def __init__(self, url: str, model: str, tokens: list[str]):
        parts = urlsplit(url)
        self._host, self._port = parts.hostname, parts.port
        self._heads = [
            f"POST {parts.path}/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\n"
            f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
            for token in tokens
        ]
        self._model = model
        self._idle: list[Line] = []
        self.errors = 0

    async def plain(self, number: int) -> float:
        """Make one request; return its seconds."""
        began = time.perf_counter()
        await self._ask(number, "plain", streams=False)
        return time.perf_counter() - began

    async def paced(self, number: int, kind: str = "paced") -> tuple[float, float]:
        """Read one stream; return the seconds to its first content and to its end."""
        began = time.perf_counter()
        first = await self._ask(number, kind, streams=True)
        return max(0.0, first - began), time.perf_counter() - began

    async def _ask(self, number: int, kind: str, *, streams: bool) -> float:
        request = self._request(number, kind, streams=streams)
        line = await self._line()
        well, first = await line.ask(request, streams=streams)
        self.errors += not well
        if well:
            self._idle.append(line)
        else:
            line.close()
        return first

    async def _line(self) -> Line:
        while self._idle:
            line = self._idle.pop()
            if not line.lost:
                return line
        loop = asyncio.get_running_loop()
        return (await loop.create_connection(Line, self._host, self._port))[1]

    def _request(self, number: int, kind: str, *, streams: bool) -> bytes:
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": f"{kind} {number}: {WORDS * 2}"}],
            "max_tokens": 128,
            "temperature": 0.7,
            "stream": streams,
        }
        data = json.dumps(body).encode()
        head = self._heads[number % len(self._heads)]
        return f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data


async def plain(load: Load, concurrent: int, seconds: float) -> dict[str, object]:
    """As many requests as fit in the time."""
    for number in range(WARM_UP_REQUESTS):
        await load.plain(number)
    load.errors, times = 0, []
    began = time.perf_counter()

    async def one(number: int) -> None:
        while time.perf_counter() - began < seconds:
            times.append(await load.plain(number))

    await asyncio.gather(*(one(number) for number in range(concurrent)))
    wall = time.perf_counter() - began
    return {"per_second": len(times) / wall, "count": len(times), **spread("", times)}


async def begun(load: Load, concurrent: int, seconds: float) -> dict[str, object]:
    """As many streams as fit in the time; what they cost is that they begin and end."""
    await load.paced(0, "begun")
    load.errors, wholes = 0, []
    began = time.perf_counter()

    async def one(number: int) -> None:
        while time.perf_counter() - began < seconds:
            wholes.append((await load.paced(number, "begun"))[1])

    await asyncio.gather(*(one(number) for number in range(concurrent)))
    return {"count": len(wholes), **spread("", wholes)}


async def held(load: Load, concurrent: int, seconds: float) -> dict[str, object]:
    """So many long streams; they end when whoever serves them does."""
    del seconds
    await asyncio.gather(*(load.paced(number, "soak") for number in range(concurrent)))
    return {"count": concurrent}


async def paced(load: Load, concurrent: int, seconds: float) -> dict[str, object]:
    """Rounds of streams that start together."""
    await load.paced(0)
    load.errors = 0
    firsts, wholes = [], []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for first, whole in await asyncio.gather(*(load.paced(n) for n in range(concurrent))):
            firsts.append(first)
            wholes.append(whole)
    return {"count": len(wholes), **spread("first_", firsts), **spread("whole_", wholes)}


async def soak(load: Load, concurrent: int, seconds: float) -> dict[str, object]:
    """So many streams at any time; they begin spread over the length of one."""
    wholes = []
    began = time.perf_counter()

    async def one(number: int) -> None:
        await asyncio.sleep(number * SPREAD_SECONDS / concurrent)
        while time.perf_counter() - began < seconds:
            wholes.append((await load.paced(number, "soak"))[1])

    await asyncio.gather(*(one(number) for number in range(concurrent)))
    return {"count": len(wholes), **spread("whole_", wholes)}


def spread(name: str, seconds: Sequence[float]) -> dict[str, float]:
    """Return the median and the 99th percentile in milliseconds."""
    ordered = sorted(seconds)
    at = {"p50": len(ordered) // 2, "p99": min(len(ordered) - 1, len(ordered) * 99 // 100)}
    return {f"{name}{word}": ordered[place] * 1000 for word, place in at.items()}


async def main(kind: str, url: str, model: str, concurrent: str, seconds: str, *tokens: str):
    """Run one load and print what came of it."""
    load = Load(url, model, list(tokens))
    run = {"plain": plain, "begun": begun, "paced": paced, "soak": soak, "held": held}[kind]
    gc.freeze()  # a pause of the load is no answer that is late
    result = await run(load, int(concurrent), float(seconds))
    print(json.dumps({**result, "errors": load.errors}))


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:]))
