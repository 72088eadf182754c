"""The sealed channel through the service: who may, what passes, how it ends, what it costs."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery import base64url
from adaptery.client.sealed_calls import SealedCall, SealedReply
from adaptery.errors import AdapteryError, InvalidInputError, UnavailableError
from adaptery.schemas.sealed import SealedOffer
from adaptery.sealed import REFUSAL, write_piece
from adaptery.signing import SigningKey
from adaptery_hub.database import tables
from adaptery_hub.gateway.places import LineRules
from adaptery_network.transport import Message
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS
from support.loop_transport import LoopBus
from support.sealed_stage import SALTS, SealedStage, staged
from support.served_adapters import BASE_MODELS, add_adapter
from support.service import Client, Service, running_service
from support.waiting import eventually

CANARY = "canary-77ce1d"
CHAT = {"messages": [{"role": "user", "content": CANARY}], "max_tokens": 20}
TEXT = {"prompt": CANARY, "max_tokens": 20}


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as running:
        yield running


@pytest.fixture
async def stage(service: Service) -> AsyncIterator[SealedStage]:
    async with staged(service) as stage:
        yield stage


@pytest.fixture
async def secret(service: Service, demo: Client) -> str:
    """A restricted adapter of demo's."""
    return await add_adapter(service, demo, "secret", sensitivity="restricted")


async def offer_to(client: Client, call: SealedCall, model: str, **more: Any) -> SealedOffer:
    body = {**call.offer_body(model, ()), **more}
    answer = await client.json("POST", "sealed/offer", json=body)
    return SealedOffer.model_validate(answer)


async def sealed(
    client: Client, model: str = "@demo/secret", **changes: Any
) -> tuple[dict[str, object], SealedReply, SealedOffer]:
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


# -- what works -----------------------------------------------------------------------------------


async def test_a_restricted_adapter_answers_over_the_sealed_channel(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    body, reply, offer = await sealed(demo)
    answer = await whole(demo, body, reply)
    assert answer["choices"][0]["message"]["content"] == "Hello"
    assert answer["model"] == "@demo/secret@1" and answer["usage"]["total_tokens"] == 5
    grant, asked = stage.agents[0].asked[0]
    assert (grant.thing, grant.weight_digest) == (secret, OTHER_WEIGHTS)
    assert grant.limits == {"max_tokens": 20, "answers": 1}
    assert asked["request"]["messages"] == CHAT["messages"]
    assert asked["base_model"] == {"name": BASE, "weight_digest": WEIGHTS}
    assert asked["adapter"]["session"]["id"] == secret
    assert asked["cache_salt"] == SALTS.of(grant.caller)
    (row,) = await stage.usage()
    told = ("channel", "kind", "outcome", "prompt_tokens", "completion_tokens", "adapter_id")
    assert [row[name] for name in told] == ["sealed", "chat", "completed", 3, 2, secret]
    assert row["agent_id"] == stage.agents[0].id == offer.card["card"]["agent"]


async def test_open_adapters_base_models_and_texts_may_be_sealed_too(
    service: Service, stage: SealedStage, demo: Client
) -> None:
    adapter = await add_adapter(service, demo)
    for model, thing in (("soap", adapter), (BASE, BASE), ("", BASE)):
        body, reply, _ = await sealed(demo, model)
        assert (await whole(demo, body, reply))["object"] == "chat.completion"
        assert stage.agents[0].asked[-1][0].thing == thing
    call = SealedCall("completions", TEXT)
    body, reply = call.seal(await offer_to(demo, call, "soap"))
    assert (await whole(demo, body, reply))["choices"][0]["text"] == "Hello"
    assert [row["kind"] for row in await stage.usage(4)] == ["chat"] * 3 + ["completions"]


async def test_nothing_that_passes_through_shows_prompt_or_answer(
    service: Service,
    stage: SealedStage,
    demo: Client,
    secret: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    stage.agents[0].words = [CANARY]
    body, reply, _ = await sealed(demo)
    assert CANARY in str(await whole(demo, body, reply))
    await stage.usage()
    passed = b"".join(m.payload + m.subject.encode() for m in stage.bus.seen)
    kept = b"".join(p.read_bytes() for p in tmp_path.rglob("*") if p.is_file())
    for text in (passed, kept, caplog.text.encode(), json.dumps(body).encode()):
        for spelling in (CANARY.encode(), base64url.encode(CANARY.encode()).encode()[:-2]):
            assert spelling not in text


# -- who may --------------------------------------------------------------------------------------


async def test_the_open_channel_says_403_to_who_may_and_404_to_others(
    service: Service, stage: SealedStage, demo: Client, guest: Client, secret: str
) -> None:
    texts = set()
    for path, body in (("chat/completions", CHAT), ("completions", TEXT)):
        for prefix, model in (("v1", "@demo/secret"), ("a/@demo/secret/v1", "")):
            mine = await demo.post(f"{prefix}/{path}", json={**body, "model": model})
            error = mine.json()["error"]
            assert (mine.status_code, error["code"]) == (403, "sealed_channel_required")
            assert "adaptery.connect()" in error["message"] and "JupyterLab" in error["message"]
            theirs = await guest.post(f"{prefix}/{path}", json={**body, "model": model})
            never = await guest.post(f"v1/{path}", json={**body, "model": "@demo/never"})
            assert theirs.status_code == never.status_code == 404
            texts |= {theirs.text, never.text}
    assert len(texts) == 1
    call = SealedCall("chat/completions", CHAT)
    for model in ("@demo/secret", "@demo/never"):
        problem = await guest.json("POST", "sealed/offer", 404, json=call.offer_body(model, ()))
        texts.add(json.dumps({**problem, "request_id": ""}))
    assert len(texts) == 2
    assert stage.agents[0].asked == []


async def test_the_lists_of_models_say_which_channel_to_take(
    service: Service, demo: Client, guest: Client, secret: str
) -> None:
    await add_adapter(service, demo)
    models = {m["id"]: m for m in (await demo.json("GET", "v1/models"))["data"]}
    assert models["@demo/secret@1"]["channel"] == "sealed"
    assert models["@demo/secret@1"]["sensitivity"] == "restricted"
    assert models["@demo/soap@1"]["channel"] == models[BASE]["channel"] == "open"
    for path in ("v1/models/@demo/secret", "a/@demo/secret/v1/models/secret"):
        assert (await demo.json("GET", path))["channel"] == "sealed"
        await guest.json("GET", path, 404)
    (bound,) = (await demo.json("GET", "a/@demo/secret/v1/models"))["data"]
    assert bound["channel"] == "sealed"


async def test_an_offer_is_good_for_its_caller_and_for_one_request(
    service: Service, stage: SealedStage, demo: Client, guest: Client, secret: str
) -> None:
    await demo.json(
        "PUT", f"api/adapters/{secret}/grants", json={"principal": "@guest", "right": "use"}
    )
    body, reply, _ = await sealed(demo)
    await guest.json("POST", "sealed/send", 404, json=body)
    await whole(demo, body, reply)
    problem = await demo.json("POST", "sealed/send", 404, json=body)
    assert "offer" in problem["detail"] and "sealed/offer" in problem["hint"]
    forged = str(body["grant"])
    for grant in (forged[:-6] + "AAAAAA", "x.y", "e30.AA", forged.partition(".")[0]):
        await demo.json("POST", "sealed/send", 404, json={**body, "grant": grant})
    assert len(stage.agents[0].asked) == 1


async def test_an_offer_does_not_outlive_the_right(
    service: Service, stage: SealedStage, demo: Client, guest: Client, secret: str
) -> None:
    grants = f"api/adapters/{secret}/grants"
    await demo.json("PUT", grants, json={"principal": "@guest", "right": "use"})
    body, _, _ = await sealed(guest)
    await demo.json("DELETE", grants, 204, params={"principal": "@guest"})
    await guest.json("POST", "sealed/send", 404, json=body)
    assert stage.agents[0].asked == []


async def test_scopes_and_keys_reach_what_they_reach_on_the_open_channel(
    service: Service, stage: SealedStage, demo: Client, secret: str
) -> None:
    reader = service.client("demo", scopes=("read",))
    call = SealedCall("chat/completions", CHAT)
    await reader.json("POST", "sealed/offer", 403, json=call.offer_body("secret", ()))
    other = await add_adapter(service, demo, "other", sensitivity="restricted")
    made = {"name": "k", "adapters": [secret], "tokens_per_day": 100}
    key = (await demo.json("POST", "api/keys", 201, json=made))["secret"]
    program = service.anonymous({"Authorization": f"Bearer {key}"})
    for model in ("", "@demo/secret", BASE):  # to a key of one adapter, all mean that one
        body, reply, offer = await sealed(program, model)
        assert offer.model == "@demo/secret@1"
        assert (await whole(program, body, reply))["model"] == "@demo/secret@1"
    await program.json("POST", "sealed/offer", 404, json=call.offer_body("@demo/other", ()))
    # What its owner was offered, it may not send.
    for model in ("@demo/other", BASE):
        body, _, _ = await sealed(demo, model)
        await program.json("POST", "sealed/send", 404, json=body)
    assert {grant.thing for grant, _ in stage.agents[0].asked} == {secret} and other
    assert None not in {row["key_id"] for row in await stage.usage(3)}


# -- what a caller could try ----------------------------------------------------------------------


async def test_what_answers_is_not_the_callers_to_say(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    call = SealedCall("chat/completions", CHAT)
    offer = await offer_to(demo, call, "secret")
    smuggled = {
        "base_model": {"name": "other", "weight_digest": WEIGHTS},
        "adapter": {"id": "ad_other", "weight_digest": WEIGHTS, "session": {}},
        "cache_salt": "of-another-tenant",
        "path": "completions",
    }
    body, reply = seal_with(call, offer, smuggled)
    await whole(demo, body, reply)
    _, asked = stage.agents[0].asked[0]
    assert asked["adapter"]["id"] == secret and asked["base_model"]["name"] == BASE
    assert asked["path"] == "chat/completions"
    assert asked["cache_salt"] == SALTS.of(stage.agents[0].asked[0][0].caller)


def seal_with(
    call: SealedCall, offer: SealedOffer, extra: dict[str, Any], key: SigningKey | None = None
) -> tuple[dict[str, object], SealedReply]:
    """Seal as a caller does that writes the body, or signs, as it likes."""
    from adaptery.client import sealed_calls

    real = sealed_calls.seal_request

    def other(**given: Any) -> Any:
        given["body"] = {**given["body"], **extra}
        given["caller_key"] = key or given["caller_key"]
        return real(**given)

    sealed_calls.seal_request = other  # type: ignore[assignment]
    try:
        return call.seal(offer)
    finally:
        sealed_calls.seal_request = real  # type: ignore[assignment]


async def test_another_key_another_agent_and_another_grant_are_refused_by_the_agent(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    second = await stage.add()
    call = SealedCall("chat/completions", CHAT)
    offer = await offer_to(demo, call, "secret")
    stranger, _ = seal_with(call, offer, {}, SigningKey.generate())
    call2 = SealedCall("chat/completions", CHAT)
    offer2 = await offer_to(demo, call2, "secret", tried=[offer.card["card"]["agent"]])
    inner, _ = call2.seal(offer2.model_copy(update={"grant": offer.grant}))
    for body in (stranger, {**inner, "grant": offer2.grant}):
        answer = await demo.post("sealed/send", json=body)
        assert answer.content == write_piece("frame", REFUSAL)
    assert stage.agents[0].opener.refusals == {"signature": 1} and second.asked == []
    rows = await stage.usage(2)
    assert [(row["outcome"], row["completion_tokens"]) for row in rows] == [("refused", 0)] * 2


async def test_a_small_grant_does_not_carry_a_request_under_a_large_one(
    stage: SealedStage, demo: Client, secret: str
) -> None:
    call = SealedCall("chat/completions", {**CHAT, "max_tokens": 30_000})
    small = await offer_to(demo, call, "secret", max_tokens=1)
    large = await offer_to(demo, call, "secret")
    body, _ = call.seal(large.model_copy(update={"reply": small.reply}))
    answer = await demo.post("sealed/send", json={**body, "grant": small.grant})
    assert answer.content == write_piece("frame", REFUSAL)
    assert stage.agents[0].opener.refusals == {"address": 1} and stage.agents[0].asked == []


@pytest.mark.parametrize(
    ("payload", "status"),
    [("", 422), ("%", 422), ("A", 422), (base64url.encode(b"\x80" + bytes(16)), 422)],
)
async def test_what_is_no_envelope_goes_nowhere(
    stage: SealedStage, demo: Client, secret: str, payload: str, status: int
) -> None:
    body, _, _ = await sealed(demo)
    await demo.json("POST", "sealed/send", status, json={**body, "payload": payload})
    assert not [m for m in stage.bus.seen if ".infer." in m.subject]


async def test_what_is_too_large_is_refused(stage: SealedStage, demo: Client, secret: str) -> None:
    body, _, _ = await sealed(demo)
    await demo.json("POST", "sealed/send", 422, json={**body, "payload": "A" * 1_400_001})
    await demo.json("POST", "sealed/send", 413, json={**body, "payload": "A" * 5_000_000})
    call = SealedCall("chat/completions", {"messages": [{"role": "user", "content": "x" * 2**20}]})
    offer = await offer_to(demo, call, "secret")
    with pytest.raises(AdapteryError, match="limit"):
        call.seal(offer)


@pytest.mark.parametrize(
    "change",
    [
        {"caller_key": "ed25519:short"},
        {"caller_key": "x25519:" + "A" * 43},
        {"path": "embeddings"},
        {"max_tokens": 0},
        {"answers": 65},
        {"verb": "train"},
        {"agent": "ag_mine"},
        {"tried": ["x"] * 17},
    ],
    ids=str,
)
async def test_an_offer_is_asked_for_with_known_fields_only(
    stage: SealedStage, demo: Client, secret: str, change: dict[str, object]
) -> None:
    body = {**SealedCall("chat/completions", CHAT).offer_body("secret", ()), **change}
    await demo.json("POST", "sealed/offer", 422, json=body)


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
    await asyncio.wait_for(second, 10)
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
