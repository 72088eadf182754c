"""`lorax/` as `lorax-client` uses it, with the rights of every other route."""

import json

import pytest

from adaptery.errors import EngineBusyError
from support.hub_tables import BASE
from support.own_keys import new_program
from support.scripted_fleet import words
from support.served_adapters import Fleet, add_adapter
from support.service import Client, Service

LISTING_4 = {
    "inputs": "[INST] Generate SOAP notes from the following transcription ... [/INST]",
    "parameters": {
        "temperature": 0.5,
        "max_new_tokens": 512,
        "adapter_id": "adapters/soap",
        "adapter_source": "local",
    },
}
#: What lorax-client 0.6 sends for `client.generate("hi", adapter_id="soap")`.
GENERATE: dict[str, object] = {
    "inputs": "hi",
    "parameters": {
        "adapter_id": "soap",
        "adapter_source": None,
        "merged_adapters": None,
        "api_token": None,
        "do_sample": False,
        "max_new_tokens": None,
        "ignore_eos_token": False,
        "repetition_penalty": None,
        "return_full_text": False,
        "stop": [],
        "seed": None,
        "temperature": None,
        "top_k": None,
        "top_p": None,
        "truncate": None,
        "typical_p": None,
        "best_of": None,
        "watermark": False,
        "details": True,
        "decoder_input_details": False,
        "return_k_alternatives": None,
        "response_format": None,
    },
    "stream": False,
}
ADDRESSES = ("lorax", "lorax/", "lorax/generate", "lorax/generate_stream")


def with_parameters(**parameters: object) -> dict[str, object]:
    return {**GENERATE, "parameters": {**GENERATE["parameters"], **parameters}}  # type: ignore[dict-item]


def events_of(text: str) -> list[dict]:
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line]
    return [json.loads(line) for line in lines]


async def test_listing_4_of_the_paper(demo: Client, fleet: Fleet, soap: str) -> None:
    answer = await demo.json("POST", "lorax/generate", json=LISTING_4)
    assert answer == {"generated_text": "Hello"} and fleet.adapter() == soap
    request = fleet.request()
    assert len(str(request.pop("cache_salt"))) == 43
    assert request == {
        "prompt": LISTING_4["inputs"],
        "temperature": 0.5,
        "max_tokens": 512,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("address", ["lorax", "lorax/"])
async def test_the_client_posts_to_the_address_itself(
    demo: Client, fleet: Fleet, soap: str, address: str
) -> None:
    (answer,) = await demo.json("POST", address, json=GENERATE)
    assert answer["generated_text"] == "Hello" and fleet.adapter() == soap
    assert answer["details"] == {
        "finish_reason": "eos_token",
        "prompt_tokens": 3,
        "generated_tokens": 2,
        "skipped_tokens": 0,
        "seed": None,
        "prefill": [],
        "tokens": [
            {"id": 2, "text": "He", "logprob": -0.5, "special": False, "skipped": False},
            {"id": 3, "text": "llo", "logprob": -0.5, "special": False, "skipped": False},
        ],
    }
    assert fleet.request()["temperature"] == 0


async def test_a_stream_has_an_event_for_each_token(demo: Client, fleet: Fleet, soap: str) -> None:
    body = with_parameters(seed=5, stop=["END"])
    for address, asked in (("lorax", {**body, "stream": True}), ("lorax/generate_stream", body)):
        answer = await demo.post(address, json=asked)
        assert answer.headers["content-type"] == "text/event-stream"
        events = events_of(answer.text)
        assert [event["token"]["text"] for event in events] == ["He", "llo"]
        assert events[0]["details"] is None and events[1]["generated_text"] == "Hello"
        assert events[1]["details"]["finish_reason"] == "stop_sequence"
        assert events[1]["details"]["seed"] == 5 and "[DONE]" not in answer.text
    plain = await demo.json("POST", "lorax/generate", json={**body, "stream": True})
    assert plain["generated_text"] == "Hello"


async def test_the_best_of_several(demo: Client, fleet: Fleet, soap: str) -> None:
    body = with_parameters(best_of=3, do_sample=True)
    (answer,) = await demo.json("POST", "lorax", json=body)
    assert answer["details"]["generated_tokens"] == 2 and fleet.request()["best_of"] == 3
    error = await demo.json("POST", "lorax", 422, json={**body, "stream": True})
    assert error["error_type"] == "validation" and "best_of" in error["error"]


SMUGGLED: list[dict[str, object]] = [
    {"adapter_source": "s3", "api_token": "secret-token"},
    {"adapter_source": "hub", "api_token": "secret-token", "cache_salt": "x"},
    {"lora_request": {"lora_path": "/etc"}, "model": "@demo/other", "n": 5, "echo": True},
]


@pytest.mark.parametrize("extra", SMUGGLED)
async def test_nothing_but_the_name_says_which_adapter(
    demo: Client, fleet: Fleet, soap: str, extra: dict
) -> None:
    for address in ADDRESSES:
        body = {**with_parameters(**extra), **extra}
        assert (await demo.post(address, json=body)).status_code == 200
        assert fleet.adapter() == soap
        assert set(fleet.request()) <= {
            *("prompt", "temperature", "max_tokens", "logprobs", "return_token_ids", "cache_salt"),
            *("stream", "stream_options"),
        }
        assert "secret-token" not in str(fleet.request())


async def test_adapters_are_found_as_everywhere(
    service: Service, demo: Client, guest: Client, fleet: Fleet, soap: str
) -> None:
    for name in ("soap", "@demo/soap", "@demo/soap@1", "/data/soap"):
        await demo.json("POST", "lorax", json=with_parameters(adapter_id=name))
        assert fleet.adapter() == soap
    for name in (None, "", BASE):
        await demo.json("POST", "lorax", json=with_parameters(adapter_id=name))
        assert fleet.adapter() is None
    asked = len(fleet.asked)
    texts = set()
    hidden = ("soap", "@demo/soap", "/data/adapters/soap", "adapters/soap", "@nobody/soap", soap)
    for name in (*hidden, "/data/../soap", "../soap", "s3://soap", "/data/@demo/soap"):
        for address in ADDRESSES:
            answer = await guest.post(address, json=with_parameters(adapter_id=name))
            assert answer.status_code == 404, (name, answer.text)
            texts.add(answer.text)
    assert len(texts) == 1 and len(fleet.asked) == asked
    error = json.loads(texts.pop())
    assert error.keys() == {"error", "error_type"} and error["error_type"] == "not_found"


async def test_a_key_reaches_its_adapter(
    service: Service, demo: Client, fleet: Fleet, soap: str
) -> None:
    await add_adapter(service, demo, "other")
    key = await new_program(service, demo, soap, tokens_per_day=13)
    for name in (None, "soap"):
        await key.json("POST", "lorax", json=with_parameters(adapter_id=name))
        assert fleet.adapter() == soap
    await key.json("POST", "lorax", 404, json=with_parameters(adapter_id="other"))
    assert (await key.json("GET", "lorax/info"))["model_id"] == BASE
    body = with_parameters(adapter_id="soap", max_new_tokens=50)
    await key.json("POST", "lorax", json=body)
    assert fleet.request()["max_tokens"] == 3
    error = await key.json("POST", "lorax", 429, json=body)
    assert error["error_type"] == "insufficient_quota"


async def test_mixes_are_not_offered(demo: Client, fleet: Fleet, soap: str) -> None:
    mix = {"ids": ["soap", "other"], "weights": [0.5, 0.5], "density": 1.0}
    body = with_parameters(adapter_id=None, merged_adapters=mix)
    error = await demo.json("POST", "lorax", 422, json=body)
    assert "merged_adapters" in error["error"] and fleet.asked == []


async def test_errors_are_those_that_the_client_maps(
    service: Service, demo: Client, fleet: Fleet
) -> None:
    async def kind(status: int, client: Client = demo, **parameters: object) -> str:
        body = with_parameters(adapter_id=None, **parameters)
        error = await client.json("POST", "lorax", status, json=body)
        assert error.keys() == {"error", "error_type"}
        return error["error_type"]

    assert await kind(422, temperature=-1) == "validation"
    assert await kind(401, service.anonymous()) == "not_authenticated"
    assert await kind(403, service.client("demo", scopes=("read",))) == "not_allowed"
    fleet.says = [EngineBusyError(retry_after_seconds=2)]
    assert await kind(503) == "overloaded"
    fleet.says = [words("He"), EngineBusyError()]
    answer = await demo.post("lorax/generate_stream", json=with_parameters(adapter_id=None))
    assert events_of(answer.text)[-1]["error_type"] == "overloaded"
    answer = await demo.request("PUT", "lorax/generate", json={})
    assert answer.status_code == 405 and answer.json()["error_type"] == "method_not_allowed"


async def test_what_lorax_has_besides_is_not_there(
    service: Service, demo: Client, fleet: Fleet, soap: str
) -> None:
    for path in ("embed", "classify", "tokenize", "metrics", "ping", "v1/completions", "%2e%2e/v1"):
        for who in (demo, service.anonymous()):
            for method in ("GET", "POST"):
                answer = await who.request(method, f"lorax/{path}", json=GENERATE)
                assert answer.status_code == 404 and answer.json()["error_type"] == "not_found"
    assert fleet.asked == []


async def test_info_and_health_tell_of_nobody_else(
    service: Service, demo: Client, guest: Client, fleet: Fleet, soap: str
) -> None:
    info = await guest.json("GET", "lorax/info")
    assert info["model_id"] == BASE and info["max_best_of"] == 16 and "soap" not in str(info)
    answer = await guest.get("lorax/health")
    assert answer.status_code == 200 and answer.content == b""
    fleet.scripts.clear()
    error = await guest.json("GET", "lorax/health", 503)
    assert error["error_type"] == "overloaded"
    for path in ("lorax/info", "lorax/health"):
        await service.anonymous().json("GET", path, 401)
        await service.client("demo", scopes=("read",)).json("GET", path, 403)
