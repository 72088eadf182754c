"""The sealed channel through the service: who may, what passes, what a caller could try."""

import json
from pathlib import Path
from typing import Any

import pytest

from adaptery import base64url
from adaptery.client.sealed_calls import SealedCall, SealedReply
from adaptery.errors import AdapteryError
from adaptery.schemas.sealed import SealedOffer
from adaptery.sealed import REFUSAL, write_piece
from adaptery.signing import SigningKey
from support.hub_tables import BASE, OTHER_WEIGHTS, WEIGHTS
from support.sealed_requests import CANARY, CHAT, TEXT, offer_to, sealed, whole
from support.sealed_stage import SALTS, SealedStage
from support.served_adapters import add_adapter
from support.service import Client, Service

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
            for program in ("adaptery.connect()", "JupyterLab", "adaptery.SealingClient()"):
                assert program in error["message"]
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
