"""The fixed upstream of the gateway's benchmark: the engine behind our agent, and LiteLLM's.

Run as an engine is (`--model --token-file --ready-file --threads`), or with `--port` alone. An
answer is always the same: 200 characters at once, or, if the last message begins with `paced`, 64
pieces, one every 20 ms (`soak`: every second), each when its time has come whatever the ones before
took. Plain HTTP on plain asyncio: the upstream must not be what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
from pathlib import Path
from typing import cast

import uvloop

PIECES = 64
PIECE_SECONDS = {"paced": 0.02, "soak": 1.0}
TEXT = "The cough is dry and worse at night; no fever, no weight loss. " * 4
ANSWER = TEXT[:200]
USAGE = {"prompt_tokens": 60, "completion_tokens": PIECES, "total_tokens": 60 + PIECES}
HEAD = {"id": "chatcmpl-fixed", "created": 1, "model": "fixed"}
STREAM_HEADERS = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)


def event(choices: list[dict[str, object]], **more: object) -> bytes:
    """Return one event of a stream as a chunk of HTTP."""
    chunk = {**HEAD, "object": "chat.completion.chunk", "choices": choices, **more}
    return chunked(b"data: " + json.dumps(chunk).encode() + b"\n\n")


def chunked(data: bytes) -> bytes:
    """Frame bytes for chunked transfer."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def piece(text: str, finish: str | None = None) -> bytes:
    """Return one piece of text as an event."""
    return event([{"index": 0, "delta": {"content": text}, "finish_reason": finish}])


END = piece("", "stop") + event([], usage=USAGE) + chunked(b"data: [DONE]\n\n") + chunked(b"")
AT_ONCE = STREAM_HEADERS + piece(ANSWER) + END
TOKEN = piece(" cough")


def plain(content: dict[str, object]) -> bytes:
    """Return a plain answer."""
    body = json.dumps(content).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


COMPLETION = plain(
    {
        **HEAD,
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": ANSWER},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
)
OTHERWISE = plain({"status": "ok", "running": 0, "waiting": 0, "adapters": []})


class Upstream(asyncio.Protocol):
    """One connection."""

    def __init__(self) -> None:
        self._buffer = b""
        self._streams: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by type

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        for stream in self._streams:
            stream.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer each request once its body is here."""
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            length = _length(head)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._answer(head.split(b" ", 2)[1], rest[:length])

    def _answer(self, path: bytes, body: bytes) -> None:
        if not path.endswith(b"/chat/completions"):
            self._transport.write(OTHERWISE)
            return
        request = json.loads(body)
        if not request.get("stream"):
            self._transport.write(COMPLETION)
        elif (kind := request["messages"][-1]["content"].split(" ")[0]) not in PIECE_SECONDS:
            self._transport.write(AT_ONCE)
        else:
            stream = asyncio.get_running_loop().create_task(self._pace(PIECE_SECONDS[kind]))
            self._streams.add(stream)
            stream.add_done_callback(self._streams.discard)

    async def _pace(self, seconds: float) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        self._transport.write(STREAM_HEADERS)
        for number in range(PIECES):
            await asyncio.sleep(max(0.0, began + number * seconds - clock()))
            self._transport.write(TOKEN)
        self._transport.write(END)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[len(b"content-length:") :])
    return 0


async def main(port: int, ready_file: str | None) -> None:
    """Serve until the end."""
    server = await asyncio.get_running_loop().create_server(
        Upstream, "127.0.0.1", port, backlog=4096
    )
    if ready_file:
        draft = Path(f"{ready_file}.draft")
        ready = {"port": server.sockets[0].getsockname()[1], "pid": os.getpid()}
        draft.write_text(json.dumps(ready))
        draft.rename(ready_file)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file")
    uvloop.run(main(*(vars(parser.parse_known_args()[0]).values())))
