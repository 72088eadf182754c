"""Sealed requests as a client makes them, step by step."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from adaptery.client.sealed_calls import SealedCall, SealedReply
from adaptery.schemas.sealed import SealedOffer
from support.service import Client

CANARY = "canary-77ce1d"
CHAT = {"messages": [{"role": "user", "content": CANARY}], "max_tokens": 20}
TEXT = {"prompt": CANARY, "max_tokens": 20}


async def offer_to(client: Client, call: SealedCall, model: str, **more: Any) -> SealedOffer:
    """Ask for an offer of what a call needs."""
    body = {**call.offer_body(model, ()), **more}
    answer = await client.json("POST", "sealed/offer", json=body)
    return SealedOffer.model_validate(answer)


async def sealed(
    client: Client, model: str = "@demo/secret", **changes: Any
) -> tuple[dict[str, object], SealedReply, SealedOffer]:
    """Return what is sent, who reads the reply, and the offer that it was sealed to."""
    call = SealedCall("chat/completions", {**CHAT, **changes})
    offer = await offer_to(client, call, model)
    body, reply = call.seal(offer)
    return body, reply, offer


async def whole(client: Client, body: dict[str, object], reply: SealedReply) -> dict[str, Any]:
    """Send what is sealed; return the plain answer."""
    deltas = []
    async with client.stream("POST", "sealed/send", json=body) as answer:
        if answer.status_code != 200:
            await answer.aread()
            raise AssertionError((answer.status_code, answer.text))
        async for portion in answer.aiter_bytes():
            for some in reply.feed(portion):
                deltas += some
    reply.end()
    return reply.whole(deltas)


@asynccontextmanager
async def running(
    client: Client, body: dict[str, object]
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[bytes]]]:
    """Open an answer and read its first bytes."""
    async with client.stream("POST", "sealed/send", json=body) as answer:
        assert answer.status_code == 200
        portions = answer.aiter_bytes()
        await anext(portions)
        yield answer, portions
