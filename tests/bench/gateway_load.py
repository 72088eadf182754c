"""The load of the gateway's benchmark, in a process of its own; prints one line of JSON.

Run as: `python tests/bench/gateway_load.py KIND URL MODEL CONCURRENT SECONDS TOKEN...`. KIND is
`plain` (as many requests as fit), `begun` (as many streams as fit, of one piece each), `paced` (all
streams start together, in rounds), `soak` (each stream is followed by another at once) or `held`
(long streams that start together, once). The tokens take turns.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Sequence

import aiohttp

WORDS = "Write the visit up as a SOAP note, from what the patient said: a dry cough at night. "
WARM_UP_REQUESTS = 30
#: The streams of a soak begin one after the other, over the length of one.
SPREAD_SECONDS = 40.0


class Load:
    """Requests to one server."""

    def __init__(self, http: aiohttp.ClientSession, url: str, model: str, tokens: list[str]):
        self._http, self._url, self._model = http, url, model
        self._headers = [{"Authorization": f"Bearer {token}"} for token in tokens]
        self.errors = 0
        self.events = 0

    async def plain(self, number: int) -> float:
        """Make one request; return its seconds."""
        began = time.perf_counter()
        async with self._ask(number, "plain", stream=False) as answer:
            content = await answer.json()
            if answer.status != 200 or len(content["choices"][0]["message"]["content"]) != 200:
                self.errors += 1
        return time.perf_counter() - began

    async def paced(self, number: int, kind: str = "paced") -> tuple[float, float]:
        """Read one stream; return the seconds to its first content and to its end."""
        began, first, events, done = time.perf_counter(), 0.0, 0, False
        try:
            async with self._ask(number, kind, stream=True) as answer:
                async for line in answer.content:
                    if not first and b'"content": "' in line.replace(b'":"', b'": "'):
                        first = time.perf_counter() - began
                    events += line.startswith(b"data:")
                    done = done or line.startswith(b"data: [DONE]")
        except (aiohttp.ClientError, TimeoutError):
            done = False
        self.errors += not done
        self.events += events
        return first, time.perf_counter() - began

    def _ask(self, number: int, kind: str, *, stream: bool):
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": f"{kind} {number}: {WORDS * 2}"}],
            "max_tokens": 128,
            "temperature": 0.7,
            "stream": stream,
        }
        headers = self._headers[number % len(self._headers)]
        return self._http.post(f"{self._url}/chat/completions", json=body, headers=headers)


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
    load.errors = load.events = 0
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
    connector = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(total=600)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        load = Load(http, url, model, list(tokens))
        run = {"plain": plain, "begun": begun, "paced": paced, "soak": soak, "held": held}[kind]
        gc.freeze()  # a pause of the load is no answer that is late
        result = await run(load, int(concurrent), float(seconds))
        print(json.dumps({**result, "errors": load.errors, "events": load.events}))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
