"""Errors of the OpenAI-compatible routes, as OpenAI's own client maps them; and its models."""

from urllib.parse import quote

import openai
import pytest

from adaptery.errors import EngineBusyError, NoAgentError
from adaptery_hub.database import tables
from support.hub_tables import BASE
from support.own_keys import new_program
from support.scripted_fleet import text
from support.served_adapters import Fleet, add_adapter
from support.service import Client, Service

HELLO = [{"role": "user", "content": "hi"}]


def openai_for(service: Service, who: Client) -> openai.AsyncOpenAI:
    token = who.headers.get("Authorization", "").removeprefix("Bearer ") or "nobody"
    return openai.AsyncOpenAI(base_url=service.url + "v1", api_key=token, max_retries=0)


def check(error: openai.APIStatusError, type_: str, code: str, param: str | None = None) -> None:
    assert (error.type, error.code, error.param) == (type_, code, param)
    assert error.request_id and error.request_id.startswith("rq_")
    assert error.response.headers["x-request-id"] == error.request_id
    assert error.response.headers["content-type"] == "application/json"
    assert isinstance(error.body, dict) and error.body.keys() == {
        "message",
        "type",
        "param",
        "code",
    }


# -- errors -----------------------------------------------------------------------------------


async def test_what_is_not_valid_names_the_field(
    service: Service, demo: Client, fleet: Fleet
) -> None:
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]
    wrong: list[tuple[dict, str]] = [
        ({"temperature": 99}, "temperature"),
        ({"n": 17}, "n"),
        ({"messages": image}, "messages.0.content"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools.0.function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"extra_body": {"functions": [{"name": "f"}]}}, "functions"),
    ]
    async with openai_for(service, demo) as client:
        for fields, param in wrong:
            with pytest.raises(openai.BadRequestError) as caught:
                await client.chat.completions.create(**{"model": "", "messages": HELLO, **fields})
            check(caught.value, "invalid_request_error", "invalid_input", param)
        with pytest.raises(openai.BadRequestError, match="token ids") as caught:
            await client.completions.create(model="", prompt=[[1, 2]])
        check(caught.value, "invalid_request_error", "invalid_input", "prompt")
        with pytest.raises(openai.BadRequestError) as caught:
            await client.completions.create(model="", prompt="x", best_of=2, stream=True)
        check(caught.value, "invalid_request_error", "invalid_input", "best_of")
    assert fleet.asked == []


async def test_who_is_not_let_in(service: Service, demo: Client, fleet: Fleet) -> None:
    async with openai_for(service, service.anonymous()) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            await client.models.list()
        check(caught.value, "authentication_error", "not_authenticated")
    async with openai_for(service, service.client("demo", scopes=("read",))) as client:
        with pytest.raises(openai.PermissionDeniedError) as denied:
            await client.chat.completions.create(model="", messages=HELLO)
        check(denied.value, "permission_error", "not_allowed")


async def test_what_is_not_there(service: Service, demo: Client, fleet: Fleet) -> None:
    async with openai_for(service, demo) as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.chat.completions.create(model="gpt-4o", messages=HELLO)
        check(caught.value, "invalid_request_error", "not_found")
        with pytest.raises(openai.NotFoundError, match="v1/chat/completions") as caught:
            await client.responses.create(model="", input="hi")
        check(caught.value, "invalid_request_error", "not_found")
        with pytest.raises(openai.NotFoundError, match="not offered here"):
            await client.images.generate(prompt="x")
    everyone = (demo, service.anonymous())
    for path in (
        "v1/responses",
        "v1/responses/x",
        "v1/assistants",
        "a/@demo/soap/v1/responses",
        "v1/",
    ):
        for method in ("GET", "POST", "DELETE"):
            answers = [await who.request(method, path, json={}) for who in everyone]
            assert {answer.status_code for answer in answers} == {404}, path
            assert len({answer.text for answer in answers}) == 1
            assert answers[0].json()["error"]["code"] == "not_found"


async def test_a_method_that_a_route_has_not(demo: Client) -> None:
    for path in ("v1/models", "v1/chat/completions", "v1/completions"):
        answer = await demo.request("PATCH", path, json={})
        assert answer.status_code == 405 and answer.headers["Allow"]
        assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_when_to_try_again(service: Service, demo: Client, fleet: Fleet) -> None:
    async with openai_for(service, demo) as client:
        for error in (EngineBusyError(retry_after_seconds=1.5), NoAgentError()):
            fleet.says = [error]
            with pytest.raises(openai.InternalServerError) as caught:
                await client.chat.completions.create(model="", messages=HELLO)
            check(caught.value, "server_error", error.code)
        fleet.says = [EngineBusyError(retry_after_seconds=1.5)]
        with pytest.raises(openai.InternalServerError) as caught:
            await client.chat.completions.create(model="", messages=HELLO)
        headers = caught.value.response.headers
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "1500")
        # The client itself waits, and asks again.
        fleet.says = [EngineBusyError(retry_after_seconds=0.001)]
        with pytest.raises(openai.InternalServerError):
            await client.with_options(max_retries=1).chat.completions.create(
                model="", messages=HELLO
            )
    assert len(fleet.asked) == 5


async def test_limits_of_a_key_are_told(
    service: Service, demo: Client, fleet: Fleet, soap: str
) -> None:
    body = {"name": "x", "adapters": ["soap"], "tokens_per_day": 6, "requests_per_minute": 3}
    secret = (await demo.json("POST", "api/keys", 201, json=body))["secret"]
    key = service.anonymous({"Authorization": f"Bearer {secret}"})
    async with openai_for(service, key) as client:
        raw = await client.chat.completions.with_raw_response.create(
            model="", messages=HELLO, n=2, max_tokens=50
        )
        assert raw.headers["x-ratelimit-limit-tokens"] == "6"
        # Two answers share what there is.
        assert fleet.request()["max_tokens"] == 3
        assert raw.headers["x-ratelimit-remaining-requests"] == "2"
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="", messages=HELLO)
        check(caught.value, "insufficient_quota", "insufficient_quota")
        assert caught.value.response.headers["x-should-retry"] == "false"
        await client.models.list()
        with pytest.raises(openai.RateLimitError) as caught:
            await client.models.list()
        check(caught.value, "rate_limit_error", "rate_limit_exceeded")
        assert int(caught.value.response.headers["retry-after-ms"]) > 0
        assert "x-should-retry" not in caught.value.response.headers


async def test_an_error_in_the_middle_of_a_stream(
    service: Service, demo: Client, fleet: Fleet
) -> None:
    fleet.says = [text("He"), EngineBusyError()]
    async with openai_for(service, demo) as client:
        stream = await client.chat.completions.create(model="", messages=HELLO, stream=True)
        said = []
        with pytest.raises(openai.APIError, match="no room"):
            async for chunk in stream:
                said.append(chunk.choices[0].delta.content)
    assert said == ["He"]
    answer = await demo.post("v1/chat/completions", json={"messages": HELLO, "stream": True})
    assert "[DONE]" not in answer.text and '"code": "engine_busy"' in answer.text


# -- models -----------------------------------------------------------------------------------


async def deleted(service: Service, adapter: str) -> bool:
    query = tables.adapters.select().where(tables.adapters.c.id == adapter)
    row = await service.services.db.read(lambda c: c.execute(query).mappings().one())
    return row["state"] == "deleted"


async def test_an_adapter_is_deleted_as_a_model(
    service: Service, demo: Client, fleet: Fleet, soap: str
) -> None:
    newer = await add_adapter(service, demo)
    async with openai_for(service, demo) as client:
        assert [m.id async for m in client.models.list()] == [BASE, "@demo/soap@2", "@demo/soap@1"]
        assert (await client.models.retrieve("@demo/soap")).id == "@demo/soap@2"
        gone = await client.models.delete("@demo/soap@1")
        assert (gone.id, gone.object, gone.deleted) == ("@demo/soap@1", "model", True)
        for again in (client.models.delete, client.models.retrieve):
            with pytest.raises(openai.NotFoundError):
                await again("@demo/soap@1")
    assert await deleted(service, soap) and not await deleted(service, newer)
    assert service.identities.fresh_checks == 2
    audit = await service.services.db.read(lambda c: list(c.execute(tables.audit.select())))
    assert sum("adapter.delete" in str(row) for row in audit) == 1
    await demo.json("GET", f"api/adapters/{soap}", 404)


@pytest.mark.parametrize(
    "name", ["%40demo%2Fsoap%401", "@demo/soap@1", "soap@1", "%73oap@1", "@demo%2Fsoap@1"]
)
async def test_the_name_may_be_percent_encoded(
    service: Service, demo: Client, fleet: Fleet, soap: str, name: str
) -> None:
    await demo.json("DELETE", f"v1/models/{name}")
    assert await deleted(service, soap)


async def test_what_is_not_deleted(
    service: Service, demo: Client, guest: Client, fleet: Fleet, soap: str
) -> None:
    answers = {}
    for name in (
        "@demo/soap@9",
        "@nobody/soap@1",
        "@demo/%2e%2e/demo/soap@1",
        "@demo/%2e/soap@1",
        "%2e%2e/@demo/soap@1",
        "@demo%252Fsoap@1",
        "@DEMO/soap@1",
        quote("sоap@1"),  # noqa: RUF001 - Cyrillic
        "jb_01hzzzzzzzzzzzzzzzzzzzzzzz",
        soap,
    ):
        answers[name] = await demo.request("DELETE", f"v1/models/{name}")
    answers["theirs"] = await guest.request("DELETE", "v1/models/@demo/soap@1")
    assert {a.status_code for a in answers.values()} == {404}, answers
    assert len({a.text for a in answers.values()}) == 1
    # Which one is the newest may change between a look and a delete.
    for name in ("soap", "@demo/soap"):
        error = (await demo.json("DELETE", f"v1/models/{name}", 400))["error"]
        assert error["param"] == "model" and "version" in error["message"]
    error = (await demo.json("DELETE", f"v1/models/{quote(BASE, safe='')}", 403))["error"]
    assert "base model" in error["message"]
    await demo.json(
        "PUT", f"api/adapters/{soap}/grants", json={"principal": "@guest", "right": "use"}
    )
    await guest.json("DELETE", "v1/models/@demo/soap@1", 403)
    reader = service.client("demo", scopes=("read", "infer"))
    await reader.json("DELETE", "v1/models/@demo/soap@1", 403)
    await service.anonymous().json("DELETE", "v1/models/@demo/soap@1", 401)
    key = await new_program(service, demo, soap)
    await key.json("DELETE", "v1/models/@demo/soap@1", 403)
    await demo.json("DELETE", "a/@demo/soap/v1/models", 405)
    assert not await deleted(service, soap)
