"""From a restricted dataset to a sealed answer, over a real broker and a real agent process."""

import asyncio
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import pytest

import adaptery
from adaptery.client import Hub
from adaptery.errors import AdapteryError, SealedChannelRequiredError
from adaptery_hub.database import tables
from support.service import Client
from support.spy import Spy, spellings
from support.waiting import eventually

from .conftest import Spine, in_state, published, submit

T = TypeVar("T")
CANARY = "canary-c0ffee42"
PATIENCE = 20


async def with_hub(spine: Spine, client: Client, work: Callable[[Hub], T]) -> T:
    token = client.headers["Authorization"].removeprefix("Bearer ")

    def run() -> T:
        with adaptery.connect(spine.service.url, token) as hub:
            return work(hub)

    return await asyncio.to_thread(run)


async def restricted_adapter(demo: Client) -> str:
    """Train on a restricted dataset; return the name of what comes of it."""
    made = await published(demo)
    change = {"sensitivity": "restricted"}
    await demo.json("PATCH", f"api/datasets/{made['dataset']}", json=change)
    job = await submit(demo, made["name"])
    done = await in_state(demo, job, "completed", "failed")
    assert done["state"] == "completed", done
    return done["adapter"]


async def usage(spine: Spine) -> list[dict[str, Any]]:
    compute = spine.service.services.compute
    assert compute is not None
    await compute.usage.flush()
    query = tables.usage.select().order_by(tables.usage.c.id)
    return await spine.service.services.db.read(
        lambda c: [dict(row) for row in c.execute(query).mappings()]
    )


def engine_notes(spine: Spine) -> str:
    return (spine.agent.state / "engines" / "tiny" / "engine-events").read_text()


async def test_a_restricted_adapter_is_trained_sealed_and_read_by_nobody_between(
    spine: Spine,
) -> None:
    spy = Spy()
    await spy.listen(spine.state, spine.broker.url)
    demo, guest = spine.demo, spine.service.client("guest")
    name = await restricted_adapter(demo)
    (adapter,) = (await demo.json("GET", "api/adapters"))["items"]
    assert (adapter["full_name"], adapter["sensitivity"]) == (name, "restricted")

    def ask(hub: Hub) -> str:
        streamed = hub.chat(name, CANARY, max_tokens=4)
        said = streamed.text()
        assert said == hub.chat(name, CANARY, max_tokens=4, stream=False).text
        assert streamed.answer is not None and streamed.answer.usage["completion_tokens"] == 4
        return said

    said = await with_hub(spine, demo, ask)
    assert CANARY in said and said.endswith(" 0 1 2 3")

    open_ = {"model": name, "messages": [{"role": "user", "content": "hi"}]}
    refused = await demo.post("v1/chat/completions", json=open_)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == SealedChannelRequiredError.code
    for path in ("v1/chat/completions", "sealed/offer"):
        body = open_ if path.startswith("v1") else {"model": name, "caller_key": KEY}
        assert (await guest.post(path, json=body)).status_code == 404

    rows = await eventually(lambda: two_rows(spine), timeout_seconds=PATIENCE)
    for row in rows or []:
        assert (row["channel"], row["outcome"]) == ("sealed", "completed")
        # The small engine says 10; no more than was granted counts.
        assert (row["prompt_tokens"], row["completion_tokens"]) == (5, 4)
    salts = {line for line in engine_notes(spine).splitlines() if line.startswith("salt ")}
    assert len(salts) == 1 and len(salts.pop()) == len("salt ") + 43

    assert len(spy.heard) > 20
    traffic = spy.traffic()
    await spy.close()
    kept = [path for path in Path(spine.state).rglob("*") if path.is_file()]
    kept += [spine.agent.log, spine.broker.log]
    texts = [traffic, *(path.read_bytes() for path in kept)]
    metrics = (await spine.admin.get("metrics")).content
    for spelling in spellings(CANARY):
        assert not any(spelling in text for text in (*texts, metrics))


KEY = "ed25519:" + "A" * 43


async def two_rows(spine: Spine) -> list[dict[str, Any]] | None:
    rows = await usage(spine)
    return rows if len(rows) == 2 else None


async def test_nothing_of_a_restricted_job_is_readable_elsewhere(spine: Spine) -> None:
    demo, guest = spine.demo, spine.service.client("guest")
    name = await restricted_adapter(demo)
    (job,) = (await demo.json("GET", "api/jobs"))["items"]
    adapter = job["adapter_id"]
    for path in (
        f"api/jobs/{job['id']}",
        *(f"api/jobs/{job['id']}/{part}" for part in ("events", "metrics", "log", "checkpoints")),
        f"api/adapters/{adapter}",
        f"api/adapters/{adapter}/download",
        f"v1/models/{name}",
    ):
        assert (await guest.get(path)).status_code == 404, path
        boss = await spine.admin.get(path)
        assert boss.status_code == 404, (path, "an admin sees names and sizes, never content")
    # Who may use it may ask it, and still not have its weights.
    grant = {"principal": "@guest", "right": "use"}
    await demo.json("PUT", f"api/adapters/{adapter}/grants", json=grant)
    assert (await with_hub(spine, guest, lambda hub: hub.chat(name, "hi").text())) != ""
    assert (await guest.get(f"api/adapters/{adapter}/download")).status_code == 403


async def test_leaving_frees_the_engine_and_counts_what_was_made(spine: Spine) -> None:
    demo = spine.demo
    name = await restricted_adapter(demo)
    left_at = 0.0

    def leave(hub: Hub) -> None:
        nonlocal left_at
        with closing(iter(hub.chat(name, "slowly", max_tokens=400))) as pieces:
            for _ in range(4):
                next(pieces)
        left_at = time.monotonic()

    await with_hub(spine, demo, leave)
    await eventually(lambda: "reader left" in engine_notes(spine), timeout_seconds=PATIENCE)
    assert time.monotonic() - left_at < 1.5  # a second, and how long the engine waits for a word
    rows = await eventually(lambda: usage(spine), timeout_seconds=PATIENCE)
    (row,) = rows or []
    assert row["outcome"] == "cancelled" and 3 <= row["completion_tokens"] < 60


async def test_an_agent_that_is_killed_ends_the_answer_visibly(spine: Spine) -> None:
    demo = spine.demo
    name = await restricted_adapter(demo)
    desk = spine.service.services.compute.fleet.sealed_desk()  # type: ignore[union-attr]
    desk._frame_seconds = 1.0
    killed = asyncio.Event()
    loop = asyncio.get_running_loop()

    def ask(hub: Hub) -> None:
        for _ in hub.chat(name, "slowly", max_tokens=400):
            loop.call_soon_threadsafe(killed.set)

    asking = asyncio.create_task(with_hub(spine, demo, ask))
    await asyncio.wait_for(killed.wait(), PATIENCE)
    await spine.agent.kill()
    with pytest.raises(AdapteryError) as caught:
        await asyncio.wait_for(asking, PATIENCE)
    assert caught.value.code in ("timeout", "unavailable")
    rows = await eventually(lambda: usage(spine), timeout_seconds=PATIENCE)
    assert [(r["outcome"], r["completion_tokens"]) for r in rows or []] == [("uncounted", 400)]
    await spine.agent.start()
    await answers(spine, name)


async def test_a_broker_that_is_away_is_only_an_error(spine: Spine) -> None:
    demo = spine.demo
    name = await restricted_adapter(demo)
    await spine.broker.kill()
    with pytest.raises(AdapteryError) as caught:
        await with_hub(spine, demo, lambda hub: hub.chat(name, "hi").text())
    assert caught.value.code in ("unavailable", "no_agent")
    await spine.broker.start()
    await answers(spine, name)


async def answers(spine: Spine, name: str) -> None:
    """Wait until the adapter answers again."""

    async def answered() -> bool:
        try:
            return bool(await with_hub(spine, spine.demo, lambda hub: hub.chat(name, "hi").text()))
        except AdapteryError:
            return False

    assert await eventually(answered, timeout_seconds=60, every_seconds=0.2)
