"""`v1/embeddings`: what clients send, what they get, and that nobody gets a short answer."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import pytest
import sqlalchemy as sa

from adaptery.client.connection import Connection
from adaptery.client.hub import Hub
from adaptery.errors import (
    EngineBusyError,
    InvalidInputError,
    NotFoundError,
    UnavailableError,
)
from adaptery_hub.database import tables
from adaptery_hub.limits import Limit
from support.embedders import (
    DIMENSIONS,
    EMBEDDING_MODELS,
    MODEL,
    MODEL_WEIGHTS,
    Embedders,
    serve_embeddings,
    vector_of,
)
from support.hub_tables import BASE
from support.own_keys import new_program
from support.served_adapters import BASE_MODELS, add_adapter
from support.service import Client, Service, running_service
from support.waiting import eventually

PATH = "v1/embeddings"
CANARY = "canary-51d0"
#: What langchain-openai sends unless it is told not to.
TOKENS = [[9906, 1917], [15339]]


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    models = {"base_models": BASE_MODELS, "embedding_models": EMBEDDING_MODELS}
    async with running_service(tmp_path / "state", **models) as running:
        yield running


@pytest.fixture
async def fleet(service: Service) -> Embedders:
    return await serve_embeddings(service)


def floats(packed: bytes) -> list[float]:
    return list(memoryview(packed).cast("f"))


def decoded(answer: dict) -> list[bytes]:
    return [base64.b64decode(entry["embedding"]) for entry in answer["data"]]


def client_of(service: Service, demo: Client) -> openai.AsyncOpenAI:
    key = demo.headers["Authorization"].removeprefix("Bearer ")
    return openai.AsyncOpenAI(base_url=f"{service.url}v1", api_key=key, max_retries=0)


# -- what clients send --------------------------------------------------------------------------


async def test_floats_and_base64_are_the_same_vectors(demo: Client, fleet: Embedders) -> None:
    texts = ["one", "two words", "one"]
    plain = await demo.json("POST", PATH, json={"input": texts, "model": MODEL})
    packed = await demo.json("POST", PATH, json={"input": texts, "encoding_format": "base64"})
    assert decoded(packed) == [vector_of(text) for text in texts]
    # Nine digits are enough to be the same float32.
    assert [json.loads(json.dumps(e["embedding"])) for e in plain["data"]] == [
        pytest.approx(floats(vector_of(text)), rel=1e-8) for text in texts
    ]
    assert [(e["object"], e["index"]) for e in plain["data"]] == [
        ("embedding", i) for i in range(3)
    ]
    assert plain["usage"] == {"prompt_tokens": 4, "total_tokens": 4}
    assert (plain["object"], plain["model"]) == ("list", MODEL)


async def test_openai_python_as_it_comes_and_with_floats(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    async with client_of(service, demo) as client:
        usual = await client.embeddings.create(model=MODEL, input=["a", "b"])
        floating = await client.embeddings.create(model=MODEL, input="a", encoding_format="float")
        with pytest.raises(openai.NotFoundError, match="There is no such embedding model"):
            await client.embeddings.create(model="text-embedding-3-small", input="a")
        with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
            await client.embeddings.create(model=MODEL, input=TOKENS)
    assert usual.data[1].embedding == pytest.approx(floats(vector_of("b")))
    assert floating.data[0].embedding == pytest.approx(floats(vector_of("a")))


@pytest.mark.parametrize("model", [{}, {"model": ""}, {"model": None}, {"model": MODEL}])
async def test_an_empty_model_is_the_default_one(
    demo: Client, fleet: Embedders, model: dict
) -> None:
    # As langchain-caai sends it, with fields of others.
    body = {"input": ["x"], "user": None, "truncate": "END", "dimensions": None, **model}
    assert (await demo.json("POST", PATH, json=body))["model"] == MODEL


@pytest.mark.parametrize("tokens", [[1, 2, 3], TOKENS, [[]], [[7] * 200] * 1000])
async def test_token_ids_are_refused_with_the_setting_that_mends_it(
    demo: Client, fleet: Embedders, tokens: list
) -> None:
    error = (await demo.json("POST", PATH, 400, json={"input": tokens}))["error"]
    assert "check_embedding_ctx_length=False" in error["message"]
    assert error["param"] == "input"


@pytest.mark.parametrize(
    ("given", "param", "word"),
    [
        (["fine", "", "fine"], "input.1", "empty"),
        (["fine", None], "input.1", "not a text"),
        (["fine", 3], "input.1", "not a text"),
        (["fine", {"text": "x"}], "input.1", "not a text"),
        (["x" * 131_073], "input.0", "131072 characters"),
        ("", "input", "empty"),
        (None, "input", "not a text"),
        ([], "input", "0 texts"),
        (["x"] * 2049, "input", "2049 texts"),
    ],
)
async def test_a_wrong_text_is_named_by_its_place(
    demo: Client, fleet: Embedders, given: object, param: str, word: str
) -> None:
    error = (await demo.json("POST", PATH, 400, json={"input": given}))["error"]
    assert (error["param"], error["type"]) == (param, "invalid_request_error")
    assert word in error["message"]
    assert not fleet.asked


async def test_dimensions_are_taken_only_if_they_are_the_models_own(
    demo: Client, fleet: Embedders
) -> None:
    await demo.json("POST", PATH, json={"input": "x", "dimensions": DIMENSIONS})
    error = (await demo.json("POST", PATH, 400, json={"input": "x", "dimensions": 2}))["error"]
    assert error["param"] == "dimensions" and str(DIMENSIONS) in error["message"]


async def test_what_the_model_did_not_read_is_said(demo: Client, fleet: Embedders) -> None:
    long, short = " ".join(["word"] * 20), "word"
    answer = await demo.post(PATH, json={"input": [long, short]})
    assert answer.headers["x-adaptery-truncated-texts"] == "1"
    assert answer.json()["usage"]["prompt_tokens"] == 8 + 1
    assert (
        "x-adaptery-truncated-texts" not in (await demo.post(PATH, json={"input": short})).headers
    )


# -- which model --------------------------------------------------------------------------------


async def test_adapters_and_base_models_make_no_vectors(
    service: Service, demo: Client, guest: Client, fleet: Embedders
) -> None:
    await add_adapter(service, demo)
    base = (await demo.json("POST", PATH, 400, json={"input": "x", "model": BASE}))["error"]
    assert "chat model" in base["message"] and MODEL in base["message"]
    errors = [
        (await client.json("POST", PATH, 404, json={"input": "x", "model": name}))["error"]
        for client in (demo, guest)
        for name in ("@demo/soap", "@demo/nothing", "no such/" * 20)
    ]
    assert all(error == errors[0] for error in errors), "what exists is not told"


async def test_the_address_of_an_adapter_answers_404_whoever_asks(
    service: Service, demo: Client, guest: Client, fleet: Embedders
) -> None:
    await add_adapter(service, demo)
    errors = [
        (await client.json("POST", f"a/@demo/{name}/{PATH}", 404, json={"input": "x"}))["error"]
        for client in (demo, guest)
        for name in ("soap", "nothing")
    ]
    assert all(error == errors[0] for error in errors)
    assert PATH in errors[0]["message"] and not fleet.asked


async def test_models_list_what_the_vectors_are(demo: Client, fleet: Embedders) -> None:
    listed = {m["id"]: m for m in (await demo.json("GET", "v1/models"))["data"]}
    model = listed[MODEL]
    assert (model["kind"], model["dimensions"], model["max_tokens"]) == ("embedding", 4, 8)
    assert await demo.json("GET", f"v1/models/{MODEL.replace('/', '%2F')}") == model


async def test_a_chat_with_an_embedding_model_says_what_it_is(
    demo: Client, fleet: Embedders
) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
    error = (await demo.json("POST", "v1/chat/completions", 400, json=body))["error"]
    assert "embedding model" in error["message"]


async def test_without_an_embedding_model_the_error_says_who_can_offer_one(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as service:
        answer = await service.client("demo").json("POST", PATH, 400, json={"input": "x"})
    assert answer["error"]["code"] == "not_offered"


async def test_without_an_agent_it_is_a_503(service: Service, demo: Client) -> None:
    error = (await demo.json("POST", PATH, 503, json={"input": "x"}))["error"]
    assert error["code"] == "no_agent"


# -- who ----------------------------------------------------------------------------------------


async def test_a_key_needs_the_verb_and_a_token_the_scope(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    adapter = await add_adapter(service, demo)
    statuses = {}
    for verbs in (["infer", "read"], ["embed", "read"], ["infer", "embed"]):
        key = await new_program(service, demo, adapter, verbs=verbs)
        statuses[" ".join(verbs)] = (await key.post(PATH, json={"input": "x"})).status_code
        listed = [m["id"] for m in (await key.get("v1/models")).json().get("data", [])]
        assert (MODEL in listed) == ("embed" in verbs)
    assert statuses == {"infer read": 403, "embed read": 200, "infer embed": 200}
    reader = service.client("demo", scopes=("read",))
    await reader.json("POST", PATH, 403, json={"input": "x"})
    no_infer = service.client("demo", scopes=("read", "write"))
    body = {"name": "x", "adapters": [adapter], "verbs": ["embed"]}
    await no_infer.json("POST", "api/keys", 403, json=body)


async def test_a_key_that_is_revoked_ends_what_it_is_making_and_tokens_of_a_day_hold(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    service.services.admissions.look_again_seconds = 0.2
    adapter = await add_adapter(service, demo)
    body = {"name": "x", "adapters": [adapter], "verbs": ["embed"], "tokens_per_day": 9}
    made = await demo.json("POST", "api/keys", 201, json=body)
    key = service.anonymous({"Authorization": f"Bearer {made['secret']}"})
    await key.json("POST", PATH, json={"input": ["a b c d e"] * 2})  # a prompt may exceed it once
    error = (await key.json("POST", PATH, 429, json={"input": "x"}))["error"]
    assert error["code"] == "insufficient_quota"
    made = await demo.json("POST", "api/keys", 201, json={**body, "tokens_per_day": None})
    key = service.anonymous({"Authorization": f"Bearer {made['secret']}"})
    fleet.held = True
    fleet.left.clear()
    asking = asyncio.create_task(key.post(PATH, json={"input": "x"}))
    await eventually(lambda: len(fleet.asked) == 2)
    await demo.json("DELETE", f"api/keys/{made['id']}", 204)
    assert (await asyncio.wait_for(asking, 10)).status_code == 401
    assert fleet.left.is_set()


async def test_a_request_counts_once_among_what_its_user_may_have(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    limits = service.services.limits
    limits._user = Limit(answers=1, requests_per_minute=60, tokens_per_day=100)
    answer = await demo.post(PATH, json={"input": ["a b c d e"] * 2})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ratelimit-remaining-requests"] == "59"
    await demo.json("POST", PATH, json={"input": "x"})
    assert not limits._running
    limits._user = Limit(tokens_per_day=10)
    error = (await demo.json("POST", PATH, 429, json={"input": "x"}))["error"]
    assert error["code"] == "insufficient_quota"


# -- never short --------------------------------------------------------------------------------


async def test_an_agent_that_dies_is_replaced_or_the_error_is_clear(
    demo: Client, fleet: Embedders
) -> None:
    fleet.agents = ["ag_a", "ag_b"]
    fleet.failures = {"ag_a": [UnavailableError("The engine went away.")]}
    texts = [f"text {n}" for n in range(7)]
    body = {"input": texts, "encoding_format": "base64"}
    assert decoded(await demo.json("POST", PATH, json=body)) == [vector_of(t) for t in texts]
    assert fleet.counts() == {"ag_a": 1, "ag_b": 1}
    fleet.agents = ["ag_a"]
    fleet.failures = {"ag_a": [EngineBusyError("The engine is being restarted.")]}
    error = (await demo.json("POST", PATH, 503, json=body))["error"]
    assert error["code"] == "engine_busy"


async def test_a_caller_who_leaves_ends_the_work_and_is_accounted_for(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    fleet.held = True
    asking = asyncio.create_task(demo.post(PATH, json={"input": ["x"] * 9}))
    await eventually(lambda: fleet.asked)
    asking.cancel()
    await asyncio.wait_for(fleet.left.wait(), 10)
    row = await eventually(lambda: _usage(service))
    assert row[0]["outcome"] == "cancelled"


async def test_many_texts_of_two_tenants_at_once_stay_apart_and_in_order(
    service: Service, demo: Client, guest: Client, fleet: Embedders
) -> None:
    lists = {demo: [f"d{n}" for n in range(2048)], guest: [f"g{n}" for n in range(1500)]}
    answers = await asyncio.gather(
        *(c.post(PATH, json={"input": t, "encoding_format": "base64"}) for c, t in lists.items())
    )
    for answer, texts in zip(answers, lists.values(), strict=True):
        assert decoded(answer.json()) == [vector_of(text) for text in texts]
    callers = {order.caller for _, order in fleet.asked}
    assert len(callers) == 2 and len(fleet.asked) == 4 + 3
    rows = await eventually(lambda: _usage(service, 2))
    assert {row["tenant_id"] for row in rows} == callers
    assert {row["prompt_tokens"] for row in rows} == {2048, 1500}


async def test_usage_and_audit_hold_counts_and_the_weights_and_no_text(
    service: Service, demo: Client, fleet: Embedders
) -> None:
    await demo.json("POST", PATH, json={"input": [CANARY, "b"], "user": CANARY})
    (row,) = await eventually(lambda: _usage(service))
    assert (row["kind"], row["base_model"], row["prompt_tokens"]) == ("embeddings", MODEL, 2)
    audit = await service.services.db.read(
        lambda c: list(c.execute(sa.select(tables.audit)).mappings())
    )
    assert MODEL_WEIGHTS in str(audit[-1]) and CANARY not in f"{row} {audit}"


async def _usage(service: Service, at_least: int = 1) -> list[sa.RowMapping] | None:
    query = sa.select(tables.usage)
    rows = await service.services.db.read(lambda c: list(c.execute(query).mappings()))
    return rows if len(rows) >= at_least else None


# -- our own client -----------------------------------------------------------------------------


@pytest.fixture
def hub(service: Service, demo: Client) -> Hub:
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    return Hub(Connection(service.url, token))


async def test_the_client_splits_what_is_too_much_for_one_request(
    hub: Hub, fleet: Embedders
) -> None:
    texts = [f"text {n}" for n in range(5000)]
    with hub:
        made = await asyncio.to_thread(hub.embed, texts)
    assert [vector.tobytes() for vector in made] == [vector_of(text) for text in texts]
    assert (len(made), made.dimensions, made.model) == (5000, DIMENSIONS, MODEL)
    assert made.prompt_tokens == 10_000
    assert len({order.texts[0] for _, order in fleet.asked}) == len(fleet.asked)


async def test_the_client_gives_arrays_and_lists(hub: Hub, fleet: Embedders) -> None:
    numpy = pytest.importorskip("numpy")
    with hub:
        made = await asyncio.to_thread(hub.embed, ["a", "b"])
        single = await asyncio.to_thread(hub.embed, "a")
        nothing = await asyncio.to_thread(hub.embed, [])
    array = numpy.asarray(made)
    assert (array.shape, array.dtype) == ((2, DIMENSIONS), numpy.float32)
    assert made.to_lists() == array.tolist() and made[-1] == made[1:][0]
    assert single[0] == made[0] and len(nothing) == 0
    assert "2 vectors" in repr(made)


async def test_the_client_names_a_wrong_text_and_warns_of_what_was_not_read(
    hub: Hub, fleet: Embedders
) -> None:
    texts = [f"t{n}" for n in range(3000)]
    with hub:
        with pytest.raises(InvalidInputError, match=r"input\.2999: is an empty text"):
            hub.embed([*texts[:2999], ""])
        with pytest.raises(NotFoundError):
            await asyncio.to_thread(hub.embed, ["x"], "no/such")
        with pytest.warns(UserWarning, match="1 of 1 texts are longer"):
            await asyncio.to_thread(hub.embed, [" ".join(["word"] * 9)])
        models = await asyncio.to_thread(hub.models)
    assert models == [BASE], "they are for chats"


async def test_what_a_client_reads_slowly_is_whole(demo: Client, fleet: Embedders) -> None:
    texts = [f"t{n}" for n in range(2048)]
    async with demo.stream("POST", PATH, json={"input": texts}) as answer:
        assert isinstance(answer, httpx.Response)
        body = b"".join([chunk async for chunk in answer.aiter_bytes(777)])
    assert [entry["index"] for entry in json.loads(body)["data"]] == list(range(2048))
