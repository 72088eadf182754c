"""What callers of the API may try: narrow tokens, large bodies, clever names, too many streams."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adaptery_hub.handlers.base import Handler
from adaptery_hub.services import ANSWERS_PER_TENANT, STREAMS_PER_TENANT
from support.service import Client, Service, alpaca, running_service
from support.waiting import eventually

CANARY = "canary-descr-71f0"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    models = {"tiny": "/models/tiny"}
    async with running_service(tmp_path / "state", base_models=models) as running:
        yield running


async def job_of(client: Client, name: str = "notes") -> str:
    dataset = await client.dataset()
    await client.upload(dataset, alpaca(3))
    await client.publish(dataset)
    body = {"name": name, "dataset": "visits"}
    return (await client.json("POST", "api/jobs", 201, json=body))["id"]


@pytest.mark.parametrize("scopes", [(), ("infer",)])
async def test_the_page_shows_nothing_to_a_token_that_may_not_read(
    service: Service, scopes: tuple[str, ...]
) -> None:
    await service.client("demo").dataset("secret-name", description=CANARY)
    answer = await service.client("demo", scopes=scopes).get("")
    assert answer.status_code == 403
    assert CANARY not in answer.text and "secret-name" not in answer.text
    # Who may read gets the shell; what is in it comes from the API, with rights of its own.
    shell = await service.client("demo", scopes=("read",)).get("")
    assert shell.status_code == 200
    assert CANARY not in shell.text and "secret-name" not in shell.text


async def test_no_byte_of_a_refused_body_is_kept(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []
    finish = Handler.on_finish

    def look(handler: Handler) -> None:
        kept.append(len(handler._body))
        finish(handler)

    monkeypatch.setattr(Handler, "on_finish", look)
    body = json.dumps({"name": "x" * 1_000_000}).encode()
    for client, status in (
        (service.anonymous(), 401),
        (service.client("demo", scopes=("read",)), 403),
    ):
        assert (await client.post("api/datasets", content=body)).status_code == status
    assert kept == [0, 0]


@pytest.mark.parametrize(
    "name",
    ["a/b", "@demo/x", "x@3", 'x"; a="1', "x\r\nSet-Cookie: a=b", "vis\u0456ts", "auto", ".."],
)
async def test_a_job_has_a_plain_name_for_its_adapter_will_have_it_too(
    service: Service, name: str
) -> None:
    demo = service.client("demo")
    await job_of(demo)
    answer = await demo.post("api/jobs", json={"name": name, "dataset": "visits"})
    assert answer.status_code == 422, answer.text
    assert len((await demo.json("GET", "api/jobs"))["items"]) == 1


async def test_one_caller_cannot_open_streams_without_end(service: Service) -> None:
    demo = service.client("demo")
    path = f"api/jobs/{await job_of(demo)}/events"
    async with httpx.AsyncClient(
        base_url=service.url, headers=dict(demo.headers), limits=httpx.Limits(max_connections=None)
    ) as client:
        requests = [client.build_request("GET", path) for _ in range(STREAMS_PER_TENANT)]
        opened = [await client.send(request, stream=True) for request in requests]
        assert {answer.status_code for answer in opened} == {200}
        refused = await client.get(path)
        assert refused.status_code == 429 and refused.json()["code"] == "quota_exceeded"
        other = service.client("other")
        own = f"api/jobs/{await job_of(other)}/events"
        async with other.stream("GET", own) as answer:
            assert answer.status_code == 200
        for answer in opened:
            await answer.aclose()

        async def may_again() -> bool:
            async with client.stream("GET", path) as answer:
                return answer.status_code == 200

        await eventually(may_again)


async def test_one_caller_cannot_wait_for_answers_without_end(service: Service) -> None:
    answers = service.services.answers
    demo = service.client("demo")
    tenant = (await demo.json("GET", "api/whoami"))["id"]
    body = {"model": "", "messages": [{"role": "user", "content": "hi"}]}
    held = [answers.enter(tenant) for _ in range(ANSWERS_PER_TENANT)]
    refused = await demo.post("v1/chat/completions", json=body)
    assert refused.status_code == 429 and refused.json()["error"]["code"] == "quota_exceeded"
    for leave in held:
        leave()
    assert (await demo.post("v1/chat/completions", json=body)).status_code == 503  # no agent


async def test_the_organisation_of_a_base_model_is_nobodys_slug(tmp_path: Path) -> None:
    models = {"acme/chat": "/models/chat"}
    async with running_service(tmp_path / "state", base_models=models) as service:
        for name, groups in (("acme", ()), ("demo", ("acme",))):
            who = await service.client(name, groups=groups).json("GET", "api/whoami")
            assert "acme" not in (who["tenant"].removeprefix("@"), *who["groups"])


async def test_a_method_that_nobody_knows_is_not_repeated_in_the_log(
    service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "adaptery_hub")
    await service.anonymous().request("CANARY", "health")
    lines = [record for record in caplog.records if record.getMessage() == "request"]
    assert [vars(record)["fields"]["method"] for record in lines] == ["other"]
