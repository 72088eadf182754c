"""The sealed channel through the service: how an answer ends, and what it takes and costs."""

import asyncio

import httpx
import pytest

from adaptery.client.sealed_calls import SealedCall
from adaptery.errors import AdapteryError, InvalidInputError, UnavailableError
from adaptery.sealed import REFUSAL
from adaptery.signing import SigningKey
from adaptery_hub.database import tables
from adaptery_hub.gateway.places import LineRules
from adaptery_network.transport import Message
from support.hub_tables import BASE
from support.loop_transport import LoopBus
from support.own_keys import make_key, program
from support.sealed_requests import CANARY, CHAT, TEXT, running, sealed, whole
from support.sealed_stage import SealedStage, staged
from support.service import Client, Service
from support.waiting import eventually

# -- how it ends ----------------------------------------------------------------------------------


async def test_who_leaves_frees_the_engine_at_once(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    agent = stage.agents[0]
    agent.go_on.clear()
    body, _, _ = await sealed(demo)
    async with running(demo, body):
        assert not agent.freed.is_set()
    await asyncio.wait_for(agent.freed.wait(), 1)
    (row,) = await stage.usage()
    assert (row["outcome"], row["completion_tokens"]) == ("cancelled", 1)


async def test_who_loses_the_right_hears_why_and_the_engine_is_free(
    stage: SealedStage, demo: Client, guest: Client, secret: str
) -> None:
    grants = f"api/adapters/{secret}/grants"
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "use"})
    agent = stage.agents[0]
    agent.go_on.clear()
    body, reply, _ = await sealed(guest)
    async with guest.stream("POST", "sealed/send", json=body) as answer:
        portions = answer.aiter_bytes()
        list(reply.feed(await anext(portions)))
        await demo.json("DELETE", grants, 204, params={"principal": "@guest"})
        with pytest.raises(AdapteryError) as caught:
            async with asyncio.timeout(5):
                async for portion in portions:
                    list(reply.feed(portion))
    assert caught.value.message == "You may not use this adapter any more."
    assert caught.value.code == "not_found" and not reply.finished
    await asyncio.wait_for(agent.freed.wait(), 1)


async def test_who_does_not_read_is_cut_off_and_the_engine_is_free(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    stage.agents[0].words = ["x" * 50_000] * 400
    body, reply, _ = await sealed(demo)
    async with demo.stream("POST", "sealed/send", json=body) as answer:
        await asyncio.wait_for(stage.agents[0].freed.wait(), 10)
        with pytest.raises((AdapteryError, httpx.RemoteProtocolError)):
            async for portion in answer.aiter_bytes():
                list(reply.feed(portion))
            reply.end()
    assert not reply.finished
    (row,) = await stage.usage()
    assert row["outcome"] in ("cancelled", "completed") and row["completion_tokens"] == 20


async def test_an_agent_that_dies_leaves_a_visible_end_and_costs_what_was_granted(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    stage.desk._frame_seconds = 0.2
    agent = stage.agents[0]
    agent.go_on.clear()
    body, reply, _ = await sealed(demo)
    async with demo.stream("POST", "sealed/send", json=body) as answer:
        portions = answer.aiter_bytes()
        list(reply.feed(await anext(portions)))
        agent.transport.lose()
        agent.transport.connected = False
        with pytest.raises(AdapteryError) as caught:
            async for portion in portions:
                list(reply.feed(portion))
    assert caught.value.code == "timeout"
    with pytest.raises(UnavailableError):
        reply.end()
    (row,) = await stage.usage()
    assert (row["outcome"], row["completion_tokens"]) == ("uncounted", 20)


async def test_a_receipt_that_its_agent_did_not_sign_counts_for_nothing(
    stage: SealedStage, demo: Client, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = stage.agents[0]
    assert agent.server is not None
    monkeypatch.setattr(agent.server, "_signer", SigningKey.generate())
    stage.desk._frame_seconds = 0.2
    body, reply, _ = await sealed(demo)
    async with demo.stream("POST", "sealed/send", json=body) as answer:
        async for portion in answer.aiter_bytes():
            list(reply.feed(portion))
    assert reply.finished, "the answer is whole; only the service does not know what it cost"
    (row,) = await stage.usage()
    assert (row["outcome"], row["completion_tokens"]) == ("uncounted", 20)


async def test_an_agent_does_not_charge_more_than_was_granted(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    stage.agents[0].words = ["w"] * 30
    body, reply, _ = await sealed(demo, max_tokens=40)
    await whole(demo, body, reply)
    assert (await stage.usage())[0]["completion_tokens"] == 30
    body, _, _ = await sealed(demo, max_tokens=10)
    await demo.post("sealed/send", json=body)
    assert (await stage.usage(2))[1]["completion_tokens"] == 10
    stage.agents[0].prompt_tokens = 10**9
    body, _, _ = await sealed(demo)
    await demo.post("sealed/send", json=body)
    assert (await stage.usage(3))[2]["prompt_tokens"] < 20_000, "no more than its bytes can hold"


async def test_who_leaves_early_pays_for_the_prompt_too(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    stage.agents[0].go_on.clear()
    long = [{"role": "user", "content": "x" * 40_000}]
    body, _, _ = await sealed(demo, messages=long)
    async with running(demo, body):
        pass
    (row,) = await stage.usage()
    assert row["outcome"] == "cancelled" and 10_000 <= row["prompt_tokens"] < 11_000


async def test_an_error_of_the_agent_is_sealed_too_and_counted(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    stage.agents[0].words, stage.agents[0].failure = [], InvalidInputError(CANARY)
    body, reply, _ = await sealed(demo)
    answer = await demo.post("sealed/send", json=body)
    assert CANARY.encode() not in answer.content
    with pytest.raises(InvalidInputError, match=CANARY):
        list(reply.feed(answer.content))
    assert (await stage.usage())[0]["outcome"] == "invalid_input"


async def test_without_an_agent_there_is_no_offer_and_a_gone_one_is_a_503(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    body, _, _ = await sealed(demo)
    agent = stage.agents[0]
    assert agent.server is not None
    await agent.server.stop()
    problem = await demo.json("POST", "sealed/send", 503, json=body)
    assert problem["code"] == "no_agent"
    (row,) = await stage.usage()
    assert (row["outcome"], row["completion_tokens"]) == ("no_agent", 0)
    call = SealedCall("chat/completions", CHAT)
    tried = call.offer_body("secret", (agent.id,))
    assert (await demo.json("POST", "sealed/offer", 503, json=tried))["code"] == "no_agent"


# -- places at the agents -------------------------------------------------------------------------


async def test_sealed_requests_take_places_like_open_ones_and_give_them_back(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    """The agent of the stage gives two answers at a time."""
    agent = stage.agents[0]
    agent.go_on.clear()
    offer = SealedCall("chat/completions", CHAT).offer_body("secret", ())
    first, second = (await sealed(demo))[0], (await sealed(demo))[0]
    busy = await demo.json("POST", "sealed/offer", 503, json=offer)
    assert busy["code"] == "engine_busy" and busy["retry_after_seconds"] > 0
    async with running(demo, first):
        async with running(demo, second):
            assert (await demo.post("sealed/offer", json=offer)).status_code == 503
        await demo.json("POST", "sealed/offer", json=offer)  # waits for the place of the second
    await stage.usage(2)
    assert stage.places._running.total() == 1, "that of the last offer, for a moment"


async def test_the_place_of_an_offer_that_is_not_used_is_given_back(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    turns = stage.compute.sealed.turns
    turns.hold_seconds = 0.05
    first, reply, _ = await sealed(demo)
    await eventually(lambda: not stage.places._running.total())
    await whole(demo, first, reply)  # there is another place: the offer is still good
    late, _, _ = await sealed(demo)
    await eventually(lambda: not stage.places._running.total())
    turns.hold_seconds = 60
    await sealed(demo)
    await sealed(demo)
    problem = await demo.json("POST", "sealed/send", 503, json=late)
    assert problem["code"] == "engine_busy" and len(stage.agents[0].asked) == 1


async def test_who_lets_offers_pass_stands_behind_who_asks(
    service: Service, stage: SealedStage, demo: Client, guest: Client
) -> None:
    stage.places._rules = LineRules(answers_per_agent=1)
    turns, agent = stage.compute.sealed.turns, stage.agents[0]
    turns.hold_seconds = 0.02
    for _ in range(2):
        await sealed(guest, BASE, max_tokens=1)
        await eventually(lambda: not stage.places._running.total())
    body, reply, _ = await sealed(demo, BASE, max_tokens=400)
    await whole(demo, body, reply)
    agent.go_on.clear()
    turns.hold_seconds = 60
    running_body, _, _ = await sealed(service.client("third"), BASE)
    async with running(service.client("third"), running_body):
        first = asyncio.create_task(sealed(guest, BASE, max_tokens=1))
        await eventually(lambda: stage.places._waiting.total() == 1)
        second = asyncio.create_task(sealed(demo, BASE, max_tokens=1))
        await eventually(lambda: stage.places._waiting.total() == 2)
    await asyncio.wait_for(second, 60)
    assert not first.done(), "two offers for one token each were kept for nobody"
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)


async def test_sealed_requests_keep_the_limits_of_an_adapter_and_count_once(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    limits = {"answers": 1, "requests_per_minute": 3, "tokens_per_day": 50}
    await set_limits(stage, secret, limits)
    body, reply, _ = await sealed(demo)
    offer = SealedCall("chat/completions", CHAT).offer_body("secret", ())
    busy = await demo.json("POST", "sealed/offer", 429, json=offer)
    assert busy["code"] == "rate_limit_exceeded" and "This adapter" in busy["detail"]
    await whole(demo, body, reply)
    await stage.usage()
    await eventually(lambda: not stage.service.services.limits._running.total())
    body, reply, made = await sealed(demo, max_tokens=500)
    assert made.max_tokens == 45, "five of fifty are spent"
    await whole(demo, body, reply)
    await stage.usage(2)
    await eventually(lambda: not stage.service.services.limits._running.total())
    await sealed(demo)  # the third of this minute: an offer and its request count once
    assert (await demo.post("sealed/offer", json=offer)).status_code == 429


async def set_limits(stage: SealedStage, adapter: str, limits: dict[str, int]) -> None:
    row = tables.adapters.update().where(tables.adapters.c.id == adapter)
    await stage.service.services.db.write(lambda c: c.execute(row.values(limits=limits)))


# -- tokens of a key ------------------------------------------------------------------------------


async def test_a_key_is_granted_no_more_than_it_has_left(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    made = {"name": "k", "adapters": [secret], "tokens_per_day": 30}
    key = (await demo.json("POST", "api/keys", 201, json=made))["secret"]
    program = service.anonymous({"Authorization": f"Bearer {key}"})
    first, reply, offer = await sealed(program, "", max_tokens=500)
    assert offer.max_tokens == 30
    second, _, _ = await sealed(program, "", max_tokens=500)
    await whole(program, first, reply)
    problem = await program.json("POST", "sealed/send", 429, json=second)
    assert problem["code"] == "rate_limit_exceeded"
    third, _, offer = await sealed(program, "", max_tokens=500)
    assert offer.max_tokens == 25
    stage.desk._frame_seconds = 0.2
    stage.agents[0].server._signer = SigningKey.generate()  # type: ignore[union-attr]
    await program.post("sealed/send", json=third)
    await stage.usage(2)
    again = SealedCall("completions", TEXT).offer_body("", ())
    spent = await program.post("sealed/offer", json=again)
    assert spent.status_code == 429 and spent.json()["code"] == "insufficient_quota"


@pytest.mark.parametrize("how", ["revoked", "rotated"])
async def test_an_answer_that_ends_with_its_key_counts_with_its_prompt(
    service: Service, stage: SealedStage, demo: Client, secret: str, how: str
) -> None:
    made = await make_key(demo, secret, tokens_per_day=100_000)
    stage.agents[0].go_on.clear()
    long = [{"role": "user", "content": "x" * 40_000}]
    key = program(service, made["secret"])
    body, reply, _ = await sealed(key, "", messages=long)
    async with running(key, body) as (_, portions):
        if how == "revoked":
            await demo.json("DELETE", f"api/keys/{made['id']}", 204)
        else:
            await demo.json("POST", f"api/keys/{made['id']}/rotate", json={})
        with pytest.raises(AdapteryError, match="This key is not in force"):
            async with asyncio.timeout(5):
                async for portion in portions:
                    list(reply.feed(portion))
    (row,) = await stage.usage()
    assert (row["key_id"], row["outcome"], row["completion_tokens"]) == (made["id"], "cancelled", 1)
    assert 10_000 <= row["prompt_tokens"] < 11_000


async def test_an_offer_and_its_request_are_one_request_of_a_key(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    made = {"name": "k", "adapters": [secret], "requests_per_minute": 2}
    key = (await demo.json("POST", "api/keys", 201, json=made))["secret"]
    program = service.anonymous({"Authorization": f"Bearer {key}"})
    for _ in range(2):
        body, reply, _ = await sealed(program, "")
        await whole(program, body, reply)
    offer = SealedCall("chat/completions", CHAT).offer_body("", ())
    assert (await program.post("sealed/offer", json=offer)).status_code == 429


class Forging(LoopBus):
    """A broker that puts its own words into replies."""

    words: bytes = b""

    def carry(self, message: Message) -> None:
        if message.subject.startswith("_INBOX_service") and self.words:
            forged, self.words = self.words, b""
            self.deliver(Message(message.subject, forged))
        self.deliver(message)


@pytest.mark.parametrize("words", [b"\xfe{}", b"\x00" * 40, b"problem", REFUSAL])
async def test_what_a_broker_puts_in_is_seen_and_never_believed(
    service: Service, demo: Client, secret: str, words: bytes
) -> None:
    bus = Forging()
    async with staged(service, bus) as stage:
        body, reply, _ = await sealed(demo)
        bus.words = words
        answer = await demo.post("sealed/send", json=body)
        if words.startswith(b"\xfe"):  # a receipt that the agent did not sign is dropped
            list(reply.feed(answer.content))
            assert reply.finished
        else:
            with pytest.raises(AdapteryError) as caught:
                list(reply.feed(answer.content))
            assert caught.value.code in ("integrity", "refused")
            assert not reply.finished
        assert stage.agents[0].asked
