"""The other side of the queue's benchmark: agents over the broker, and users over HTTP.

Run as: `queue_load.py` with one line of JSON on stdin; a process of its own, so that the service
has its event loop for itself. Says on stdout what it measured.

An agent here is real but for its worker: it joins by a token, opens sealed orders, sends signed
heartbeats, and reports in a session. What it "trains" lasts a moment and then fails.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import httpx  # noqa: E402

from adaptery.errors import AdapteryError  # noqa: E402
from adaptery.sealed import Grant, RequestOpener, Session, sign_heartbeat  # noqa: E402
from adaptery.times import now, to_text  # noqa: E402
from adaptery_network import subjects  # noqa: E402
from adaptery_network.agent.orders import StartOrder, read_order  # noqa: E402
from adaptery_network.join import join  # noqa: E402
from adaptery_network.nats_transport import NatsTransport  # noqa: E402
from adaptery_network.sealed_server import Item, SealedServer  # noqa: E402
from adaptery_network.sessions import SessionClient  # noqa: E402
from support.hub_tables import BASE, WEIGHTS  # noqa: E402
from support.waiting import eventually  # noqa: E402

HEARTBEAT_SECONDS = 2.0
#: Users who watch a job of theirs while it trains, then the next one.
WATCHERS = 5
#: How often they look for one.
LOOK_SECONDS = 0.5

#: When an agent told an event, by its job and what the job calls such events.
Told: TypeAlias = dict[tuple[str, str], float]


class SimulatedAgent:
    """An agent with one slot."""

    def __init__(self, folder: Path, train_seconds: float, told: Told) -> None:
        self._told = told
        self._folder = folder
        self._train_seconds = train_seconds
        self._seq = time.time_ns() // 1_000_000
        self._free = 1
        self._tasks: set[asyncio.Task[None]] = set()
        self.ended = 0

    async def run(self, token: str) -> None:
        """Join and work until cancelled."""
        self._files = files = await join(token, self._folder, {})
        self._transport = await NatsTransport.connect(
            files.url, files.credentials, inbox_prefix=files.inbox_prefix
        )
        opener = RequestOpener(files.identity, files.issuer, now, now())
        control = subjects.control(files.card.owner, files.card.agent)
        await SealedServer(self._transport, control, "train", opener, self._handle).start()
        while True:
            await self._beat()
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _beat(self) -> None:
        self._seq += 1
        document: dict[str, object] = {
            "agent": self._files.card.agent,
            "seq": self._seq,
            "at": to_text(now()),
            "slots": {"workers": 1, "free": self._free},
            "base_models": [{"name": BASE, "weight_digest": WEIGHTS}],
        }
        subject = subjects.health(self._files.card.owner, self._files.card.agent)
        payload = sign_heartbeat(document, self._files.signing_key)
        await self._transport.publish(subject, payload)

    async def _handle(self, grant: Grant, body: Mapping[str, object]) -> AsyncGenerator[Item, None]:
        order = read_order(body, grant)
        assert isinstance(order, StartOrder)
        self._free = 0
        task = asyncio.create_task(self._train(order))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        yield "data", {"accepted": True}

    async def _train(self, order: StartOrder) -> None:
        card = self._files.card
        session = Session(order.session.secret(), order.session.id)
        line = SessionClient(self._transport, card.owner, card.agent, session)
        fence = {"fencing_token": order.spec.fencing_token}
        begun: dict[str, object] = {"kind": "state", "state": "training", "total_steps": 2}
        step = {"kind": "metrics", "step": 1, "epoch": 0.5, "loss": 1.0}
        for seq, (kind, event) in enumerate((("phase", begun), ("metrics", step)), start=1):
            told = {"seq": seq, "at": to_text(now()), **event}
            self._told[order.spec.job, kind] = time.perf_counter()
            with suppress(AdapteryError):
                await line.request("report", {"op": "report", "events": [told], **fence})
            await asyncio.sleep(self._train_seconds / 2)
        with suppress(AdapteryError):
            await line.request("report", {"op": "finish", "outcome": "failed", **fence})
        self.ended += 1
        self._free = 1
        await self._beat()


async def measure(asked: Mapping[str, object]) -> dict[str, object]:
    """Start the agents, then the users; return how long each kind of request took."""
    url, folder = str(asked["url"]), Path(str(asked["folder"]))
    admin = {"Authorization": f"Bearer {asked['admin']}"}
    users: Mapping[str, str] = asked["users"]  # type: ignore[assignment]
    count, seconds = int(str(asked["agents"])), float(str(asked["train_seconds"]))
    told: Told = {}
    agents = [SimulatedAgent(folder / str(number), seconds, told) for number in range(count)]
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def token() -> str | None:
            answer = await client.post("api/agents/tokens", json={}, headers=admin)
            return answer.json()["token"] if answer.is_success else None

        running = [asyncio.create_task(one.run(await eventually(token))) for one in agents]  # type: ignore[arg-type]
        await eventually(lambda: all(one.ended for one in agents))
        begun = time.monotonic()
        arrivals: list[float] = []
        for user in list(users.values())[:WATCHERS]:
            running.append(asyncio.create_task(_watch(client, user, told, arrivals)))
        submits, pages = await asyncio.gather(
            _submit(client, users, int(str(asked["submits"]))),
            _look(client, users, int(str(asked["pages"]))),
        )
        left = float(str(asked["seconds"])) - (time.monotonic() - begun)
        await asyncio.sleep(max(0.0, left))
        broken = [task for task in running if task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*broken)
        await asyncio.gather(*running, return_exceptions=True)
    ended = sum(one.ended for one in agents)
    return {"submits": submits, "pages": pages, "arrivals": arrivals, "ended": ended}


async def _submit(client: httpx.AsyncClient, users: Mapping[str, str], count: int) -> list[float]:
    """Submit jobs, two at a time."""
    names = list(users)

    async def submit(numbers: Sequence[int]) -> list[float]:
        took: list[float] = []
        for number in numbers:
            user = names[number % len(names)]
            body = {"name": f"notes-{number}", "dataset": f"@{user}/visits@1"}
            began = time.perf_counter()
            answer = await client.post("api/jobs", json=body, headers=_as(users[user]))
            took.append(time.perf_counter() - began)
            assert answer.status_code == 201, answer.text
        return took

    halves = await asyncio.gather(submit(range(0, count, 2)), submit(range(1, count, 2)))
    return halves[0] + halves[1]


async def _look(client: httpx.AsyncClient, users: Mapping[str, str], count: int) -> list[float]:
    """Look at the dashboard: the counts and the first page of a state."""
    took: list[float] = []
    choice = random.Random(7)
    for _ in range(count):
        headers = _as(choice.choice(list(users.values())))
        state = choice.choice(("queued", "training", "failed"))
        began = time.perf_counter()
        answers = await asyncio.gather(
            client.get("api/jobs/counts", headers=headers),
            client.get("api/jobs", params={"state": state, "limit": 50}, headers=headers),
        )
        took.append(time.perf_counter() - began)
        for answer in answers:
            assert answer.status_code == 200, answer.text
        await asyncio.sleep(0.05)
    return took


async def _watch(client: httpx.AsyncClient, token: str, told: Told, arrivals: list[float]) -> None:
    """Follow jobs of one user while they train, one after the other, until cancelled.

    Notes how long each event took from its agent to here, if the stream was open when it was told.
    """
    seen: set[str] = set()
    while True:
        page = await client.get("api/jobs", params={"state": "training"}, headers=_as(token))
        job = next((one["id"] for one in page.json()["items"] if one["id"] not in seen), None)
        if job is None:
            await asyncio.sleep(LOOK_SECONDS)
            continue
        seen.add(job)
        async with client.stream("GET", f"api/jobs/{job}/events", headers=_as(token)) as answer:
            opened_at = time.perf_counter()
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    told_at = told.get((job, json.loads(line[6:])["kind"]), 0.0)
                    if told_at > opened_at:
                        arrivals.append(time.perf_counter() - told_at)


def _as(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


if __name__ == "__main__":
    found = asyncio.run(measure(json.loads(sys.stdin.readline())))
    print(json.dumps(found))
