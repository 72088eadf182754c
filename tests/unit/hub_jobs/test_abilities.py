"""A job goes only to an agent whose workers can what it needs, and says so while it waits."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from adaptery.schemas.jobs import JobCreate
from adaptery_hub.fleet.heartbeats import read_heartbeat
from adaptery_hub.job_dashboard import ConnectedAgents
from adaptery_hub.queue import Offer
from adaptery_hub.queue.forecast import AgentSlots
from support.hub_tables import AGENT, WEIGHTS, HubTables

HELD = frozenset({WEIGHTS})
OFFER = Offer(AGENT, "training", HELD, abilities=frozenset())
SLOTS = AgentSlots(AGENT, 1, HELD)


async def submit(hub: HubTables, **options: Any) -> str:
    await hub.bind()
    version = await hub.version("demo", name=f"set-{hub.clock().timestamp():.0f}")
    hub.clock.forward(1)
    wanted = JobCreate(name="notes", dataset=version, task="sft", options=options)
    return await hub.desk.submit(await hub.identity("demo"), wanted)


async def test_a_job_goes_only_to_an_agent_that_can(hub: HubTables) -> None:
    small = await submit(hub, quantization_bit="4")
    usual = await submit(hub)
    claim = await hub.queue.claim(OFFER)
    assert claim is not None and claim.job_id == usual, "the older one is passed over"
    assert await hub.queue.claim(OFFER) is None
    assert await hub.queue.claim(replace(OFFER, abilities=frozenset({"8bit", "fp16"}))) is None
    claim = await hub.queue.claim(replace(OFFER, abilities=frozenset({"8bit", "4bit"})))
    assert claim is not None and claim.job_id == small


async def test_one_agent_has_to_have_all_that_a_job_needs(hub: HubTables) -> None:
    await submit(hub, quantization_bit="8", precision_type="fp16")
    for some in ({"8bit"}, {"fp16"}, {"4bit", "fp16"}):
        assert await hub.queue.claim(replace(OFFER, abilities=frozenset(some))) is None
    all_of_it = frozenset({"8bit", "4bit", "fp16"})
    assert await hub.queue.claim(replace(OFFER, abilities=all_of_it)) is not None


async def test_a_waiting_job_says_what_is_lacking(hub: HubTables) -> None:
    job = await submit(hub, quantization_bit="4")

    async def why(slots: AgentSlots) -> str | None:
        return (await hub.described(job, agents=ConnectedAgents((slots,))))[0].reason

    told = "no agent that has this base model and bitsandbytes is connected"
    assert await why(SLOTS) == told
    assert await why(replace(SLOTS, abilities=frozenset({"4bit"}))) == "waiting for a free slot"


def test_a_heartbeat_tells_abilities_that_are_known(hub: HubTables) -> None:
    beat = {"agent": AGENT, "seq": 1, "at": hub.clock() + timedelta()}
    assert read_heartbeat(beat).abilities is None
    assert read_heartbeat({**beat, "abilities": None}).abilities is None
    said = read_heartbeat({**beat, "abilities": ["4bit", "flies"]})
    assert said.abilities == {"4bit"}, "a later release may have others"
