"""The address of one adapter, keys of one adapter, and everything by which a request could name
another one."""

import json
from urllib.parse import quote

import pytest

from adaptery_hub.database import tables
from support.hub_tables import BASE
from support.own_keys import new_program
from support.served_adapters import Fleet, add_adapter
from support.service import Client, Service

CHAT, TEXT = "chat/completions", "completions"
MESSAGES = [{"role": "user", "content": "hi"}]
HELLO = {"messages": MESSAGES}
HERE = "a/@demo/soap/v1"
BODIES: dict[str, dict[str, object]] = {CHAT: HELLO, TEXT: {"prompt": "hi"}}


@pytest.fixture
async def soap(service: Service, demo: Client) -> str:
    await add_adapter(service, demo, "other")
    return await add_adapter(service, demo)


@pytest.fixture
async def bound(service: Service, demo: Client, soap: str) -> Client:
    """A program with a key of one adapter."""
    return await new_program(service, demo, soap)


def built(path: str, **fields: object) -> dict[str, object]:
    """Return exactly what an agent gets for `hi`."""
    asked: dict[str, object] = {"messages": MESSAGES} if path == CHAT else {"prompt": "hi"}
    stream = {"stream": True, "stream_options": {"include_usage": True}}
    return {**asked, **stream, **fields}


def asked_of(fleet: Fleet) -> dict[str, object]:
    request = fleet.request()
    assert len(str(request.pop("cache_salt"))) == 43
    return request


# -- the address ------------------------------------------------------------------------------


async def test_whatever_can_mean_the_adapter_does(
    demo: Client, bound: Client, fleet: Fleet, soap: str
) -> None:
    models = (None, "", BASE, "soap", "soap@1", "@demo/soap", "@demo/soap@1")
    for path, asked in BODIES.items():
        for client, prefix in ((demo, HERE), (bound, HERE), (bound, "v1")):
            for body in (asked, *({**asked, "model": model} for model in models)):
                answer = await client.json("POST", f"{prefix}/{path}", json=body)
                assert answer["model"] == "@demo/soap@1", body
                assert fleet.adapter() == soap and asked_of(fleet) == built(path)


OTHER_MODELS = [
    "other",
    "@demo/other",
    "@demo/soap@2",
    "@guest/soap",
    "radiology/soap",
    "gpt-4o",
    "auto",
    "soap@1-step5",
    "soap*0.5+other*0.5",
    "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
    BASE.upper(),
    f"{BASE} ",
    "Soap",
    "@DEMO/soap",
    "@demo%2Fsoap",
    "%40demo/soap",
    "@demo/../demo/soap",
    "@demo/./soap",
    "./soap",
    "@demo/soap/",
    "@demo//soap",
    "sоap",  # noqa: RUF001 - Cyrillic
    "ｓｏａｐ",  # noqa: RUF001 - full width
    "so\u200bap",
    "soap\x00",
    "soap\n",
    "/models/soap",
]


async def test_what_cannot_mean_it_is_not_there(demo: Client, bound: Client, fleet: Fleet) -> None:
    errors = set()
    for model in OTHER_MODELS:
        for client, prefix in ((demo, HERE), (bound, HERE), (bound, "v1")):
            answers = [await client.get(f"{prefix}/models/{quote(model, safe='')}")]
            for path, asked in BODIES.items():
                body = {**asked, "model": model}
                answers.append(await client.post(f"{prefix}/{path}", json=body))
            for answer in answers:
                assert answer.status_code == 404, (model, answer.text)
                errors.add(answer.text)
    assert len(errors) == 1 and json.loads(errors.pop())["error"]["code"] == "not_found"
    assert fleet.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "a/@demo/soap",
        "a/%40demo/soap",
        "a/@demo/soap@1",
        "a/%40demo/soap%401",
        "a/%40%64emo/%73oap",
    ],
)
async def test_the_address_may_be_percent_encoded(
    demo: Client, fleet: Fleet, soap: str, address: str
) -> None:
    await demo.json("POST", f"{address}/v1/{CHAT}", json=HELLO)
    assert fleet.adapter() == soap
    (model,) = (await demo.json("GET", f"{address}/v1/models"))["data"]
    assert (model["id"], model["parent"]) == ("@demo/soap@1", BASE)
    for name in ("@demo/soap", "soap", quote(BASE, safe=""), BASE):
        assert (await demo.json("GET", f"{address}/v1/models/{name}"))["id"] == "@demo/soap@1"


OTHER_ADDRESSES = [
    "a/@demo/never",
    "a/@demo/soap@2",
    "a/@demo/soap@1-step5",
    "a/@guest/soap",
    "a/demo/soap",
    "a/radiology/soap",
    "a/%2540demo/soap",
    "a/@demo/so%2561p",
    "a/@demo/x%2F..%2Fsoap",
    "a/@demo%2Fsoap/soap",
    "a/..%2F@demo/soap",
    "a/@DEMO/soap",
    "a/@demo/SOAP",
    "a/@demo/so%D0%B0p",
    "a/@demo/soap%00",
    "a/@demo/soap%20",
    "a/@demo/%FF",
    "a/@demo/" + "x" * 500,
    f"a/@demo/{quote(BASE, safe='')}",
    "a/@/soap",
    "a/@demo/@1",
]


async def test_other_addresses_lead_nowhere(
    demo: Client, guest: Client, fleet: Fleet, soap: str
) -> None:
    for address in OTHER_ADDRESSES:
        for client in (demo, guest):
            for method, rest in (("GET", "models"), ("GET", "models/soap"), ("POST", CHAT)):
                answer = await client.request(method, f"{address}/v1/{rest}", json=HELLO)
                assert answer.status_code in (400, 404), (address, answer.text)
                assert answer.json()["error"]["code"] in ("not_found", "invalid_input"), address
    assert fleet.asked == []


async def test_an_address_of_somebody_elses_adapter_looks_like_none(
    service: Service, demo: Client, guest: Client, fleet: Fleet, soap: str
) -> None:
    texts = set()
    for address in (HERE, "a/@demo/never/v1", "a/@nobody/soap/v1"):
        for method, rest in (("GET", "models"), ("GET", "models/soap"), ("POST", CHAT)):
            for model in ("", BASE, "soap", "@demo/soap"):
                body = {**HELLO, "model": model}
                answer = await guest.request(method, f"{address}/{rest}", json=body)
                assert answer.status_code == 404
                texts.add(answer.text)
    assert len(texts) == 1


async def test_without_a_version_the_newest_answers(
    service: Service, demo: Client, bound: Client, fleet: Fleet, soap: str
) -> None:
    newer = await add_adapter(service, demo)
    await demo.json("POST", f"{HERE}/{CHAT}", json=HELLO)
    assert fleet.adapter() == newer
    await demo.json("POST", f"{HERE}/{CHAT}", 404, json={**HELLO, "model": "soap@1"})
    # A key stays with the version that it was made for, at this address too.
    await bound.json("POST", f"{HERE}/{CHAT}", json=HELLO)
    assert fleet.adapter() == soap
    await bound.json("POST", f"a/@demo/soap@2/v1/{CHAT}", 404, json=HELLO)


async def test_a_key_does_not_get_to_another_address(
    service: Service, demo: Client, bound: Client, fleet: Fleet
) -> None:
    await demo.json("GET", "a/@demo/other/v1/models")
    await bound.json("GET", "a/@demo/other/v1/models", 404)
    await bound.json("POST", f"a/@demo/other/v1/{CHAT}", 404, json=HELLO)
    assert fleet.asked == []


async def test_a_groups_adapter_has_an_address(
    service: Service, demo: Client, colleague: Client, guest: Client, fleet: Fleet
) -> None:
    ward = await add_adapter(service, demo, "ward", group="radiology")
    await colleague.json("POST", f"a/radiology/ward/v1/{CHAT}", json=HELLO)
    assert fleet.adapter() == ward
    await guest.json("POST", f"a/radiology/ward/v1/{CHAT}", 404, json=HELLO)
    await demo.json("POST", f"a/@radiology/ward/v1/{CHAT}", 404, json=HELLO)


async def test_a_restricted_adapter_does_not_answer_there(
    service: Service, demo: Client, guest: Client, fleet: Fleet
) -> None:
    await add_adapter(service, demo, "closed", sensitivity="restricted")
    answer = await demo.post(f"a/@demo/closed/v1/{CHAT}", json=HELLO)
    assert answer.status_code == 403 and "restricted" in answer.text
    await guest.json("POST", f"a/@demo/closed/v1/{CHAT}", 404, json=HELLO)
    assert fleet.asked == []


async def test_a_token_needs_its_scope_there_too(service: Service, demo: Client, soap: str) -> None:
    reader = service.client("demo", scopes=("read",))
    await reader.json("GET", f"{HERE}/models")
    await reader.json("POST", f"{HERE}/{CHAT}", 403, json=HELLO)
    for rest in ("embeddings", "responses", "invocations", "adapters", "", "load_lora_adapter"):
        answer = await demo.post(f"{HERE}/{rest}", json=HELLO)
        assert answer.status_code == 404 and answer.json()["error"]["code"] == "not_found"


# -- the paper's Listing 5 --------------------------------------------------------------------


@pytest.mark.parametrize("base_url", ["v1", HERE])
async def test_listing_5_of_the_paper_works(
    demo: Client, bound: Client, fleet: Fleet, soap: str, base_url: str
) -> None:
    """`VLLMOpenAI(openai_api_key=..., openai_api_base=..., model_name=<a base model>)`.

    The body is what langchain-community 0.4 sends.
    """
    body = {
        "model": BASE,
        "prompt": ["What is a SOAP note?"],
        "frequency_penalty": 0,
        "logit_bias": None,
        "max_tokens": 256,
        "n": 1,
        "presence_penalty": 0,
        "temperature": 0.7,
        "top_p": 1,
    }
    answer = await bound.json("POST", f"{base_url}/completions", json=body)
    assert answer["choices"][0]["text"] == "Hello"
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    assert fleet.adapter() == soap
    expected = built(TEXT, prompt="What is a SOAP note?", temperature=0.7, top_p=1.0)
    assert asked_of(fleet) == {**expected, "max_tokens": 256}
    streamed = await bound.post(f"{base_url}/completions", json={**body, "stream": True})
    assert streamed.text.rstrip().endswith("data: [DONE]")


# -- what a request could name besides --------------------------------------------------------

SMUGGLED: dict[str, object] = {
    "lorax_adapter_id": {"adapter_id": "ad_x"},
    "lorax_adapter_source": {"adapter_source": "local"},
    "lorax_api_token": {"api_token": "t"},
    "lorax_merged_adapters": {"merged_adapters": {"ids": ["a", "b"], "weights": [1, 1]}},
    "lorax_parameters": {"parameters": {"adapter_id": "ad_x", "adapter_source": "s3"}},
    "vllm_lora_request": {"lora_request": {"lora_name": "x", "lora_int_id": 1, "lora_path": "/"}},
    "vllm_lora_name": {"lora_name": "x"},
    "vllm_lora_path": {"lora_path": "/etc"},
    "vllm_lora_modules": {"lora_modules": ["x=/etc"]},
    "cache_salt": {"cache_salt": "of-another-tenant"},
    "prompt_cache_key": {"prompt_cache_key": "x"},
    "extra_body": {"extra_body": {"model": "@demo/other", "adapter_id": "x"}},
    "extra_headers": {"extra_headers": {"X-Model": "x"}},
    "models": {"models": ["@demo/other"], "fallbacks": ["@demo/other"]},
    "model_name": {"model_name": "@demo/other", "engine": "x", "deployment_id": "x"},
    "mixed_case": {"Model": "@demo/other", "MODEL": "x", "model ": "x", "Adapter_Id": "x"},
    "look_alike": {"mоdel": "@demo/other"},  # noqa: RUF001 - Cyrillic
    "chat_template": {"chat_template": "{{x}}", "chat_template_kwargs": {"a": 1}},
    "files": {"documents": [{"path": "/etc"}], "mm_processor_kwargs": {}},
    "guided": {"guided_json": {}, "guided_decoding_backend": "x"},
    "internal": {"session": {"id": "x"}, "grant": "x", "base_model": {"name": "x"}, "key": "x"},
    "echo": {"echo": True, "suffix": "x", "store": True, "metadata": {"a": "b"}},
    "tenant": {"tenant": "@guest", "user": "guest", "owner": "x"},
}


@pytest.mark.parametrize("extra", SMUGGLED.values(), ids=SMUGGLED.keys())
async def test_no_field_but_ours_reaches_an_agent(
    demo: Client, bound: Client, fleet: Fleet, soap: str, extra: dict
) -> None:
    for path, asked in BODIES.items():
        for client, prefix in ((demo, HERE), (bound, HERE), (bound, "v1")):
            await client.json("POST", f"{prefix}/{path}", json={**asked, **extra})
            assert fleet.adapter() == soap and asked_of(fleet) == built(path)
        await demo.json("POST", f"v1/{path}", json={**asked, **extra, "model": "soap"})
        assert fleet.adapter() == soap and asked_of(fleet) == built(path)


async def test_nor_from_inside_a_message(demo: Client, fleet: Fleet, soap: str) -> None:
    extra = {"adapter_id": "x", "lora_path": "/etc", "cache_salt": "x", "model": "@demo/other"}
    parts = [{"type": "text", "text": "hi", **extra}]
    messages = [{"role": "user", "content": parts, "name": "n", **extra}]
    options = {"include_usage": False, **extra}
    body = {"messages": messages, "stream_options": options}
    await demo.json("POST", f"{HERE}/{CHAT}", json=body)
    assert asked_of(fleet) == built(CHAT)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Model": "@demo/other"},
        {"X-Adapter-Id": "@demo/other"},
        {"X-Tenant": "guest", "X-User": "guest", "X-Forwarded-User": "guest", "Remote-User": "x"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"X-Original-URL": "/v1/models/other", "X-Rewrite-URL": "/v1/models"},
        {"X-Forwarded-Prefix": "/x", "Forwarded": "for=x;host=y"},
        {"OpenAI-Organization": "@guest", "OpenAI-Project": "@demo/other"},
        {"lorax-adapter-id": "x", "x-lora-name": "x"},
        {"X-Cache-Salt": "x"},
    ],
    ids=lambda headers: next(iter(headers)),
)
async def test_no_header_changes_who_answers(
    demo: Client, bound: Client, fleet: Fleet, soap: str, headers: dict[str, str]
) -> None:
    for client, prefix in ((demo, HERE), (bound, "v1")):
        await client.json("POST", f"{prefix}/{CHAT}", json=HELLO, headers=headers)
        assert fleet.adapter() == soap and asked_of(fleet) == built(CHAT)


@pytest.mark.parametrize(
    "body",
    [
        '{"model": "soap", "model": "@demo/other", "messages": []}',
        '{"model": "", "messages": [{"role": "user", "content": "a", "content": "b"}]}',
        '{"mod\\u0065l": "@demo/other", "model": "soap", "messages": []}',
        '{"messages": [], "temperature": NaN}',
        "[]",
        '"soap"',
        "{",
    ],
)
async def test_what_parsers_disagree_about_is_refused(
    demo: Client, bound: Client, fleet: Fleet, body: str
) -> None:
    for client, prefix in ((demo, HERE), (demo, "v1"), (bound, "v1")):
        answer = await client.post(f"{prefix}/{CHAT}", content=body)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["type"] == "invalid_request_error"
    assert fleet.asked == []


OTHER_DOORS = [
    "invocations",
    "v1/invocations",
    "adapters",
    "v1/adapters",
    "v1/load_lora_adapter",
    "v1/unload_lora_adapter",
    "generate",
    "generate_stream",
    "info",
    "tokenize",
    "v1/tokenize",
    "detokenize",
    "pooling",
    "score",
    "rerank",
    "v1/engines/soap/completions",
    "openai/deployments/soap/chat/completions",
    "v1/chat/completions/",
    "v1//chat/completions",
    "V1/chat/completions",
    "v1/chat%2Fcompletions",
    "v1/../v1/chat/completions/x",
    "v1/chat/completions;x",
]


async def test_no_other_door_is_open(demo: Client, bound: Client, fleet: Fleet, soap: str) -> None:
    for path in OTHER_DOORS:
        for client in (demo, bound):
            for method in ("GET", "POST"):
                answer = await client.request(method, path, json={**HELLO, "model": "soap"})
                assert answer.status_code == 404, (method, path, answer.text)
    assert fleet.asked == []


async def test_a_salt_is_the_tenants_and_not_the_callers(
    service: Service, demo: Client, bound: Client, guest: Client, fleet: Fleet
) -> None:
    salts = []
    for client, model in ((demo, "soap"), (bound, ""), (demo, ""), (guest, "")):
        body = {**HELLO, "model": model, "cache_salt": "mine"}
        await client.json("POST", f"v1/{CHAT}", json=body)
        salts.append(fleet.request()["cache_salt"])
    assert salts[0] == salts[1] == salts[2] != salts[3]
    me = (await demo.json("GET", "api/whoami"))["id"]
    assert me not in str(salts[0]) and "mine" not in salts
    rows = await service.services.db.read(lambda c: list(c.execute(tables.audit.select())))
    assert str(salts[0]) not in str(rows)
