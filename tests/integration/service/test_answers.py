"""The shape of answers: one error shape, one description, no content where it does not belong."""

import json
import logging
from io import StringIO
from pathlib import Path

from adaptery_hub import logs
from adaptery_hub.routes import all_routes
from support.service import Client, Service, alpaca

PROBLEM = {"type", "title", "status", "code", "detail", "request_id"}


def check_problem(answer, status: int, code: str) -> dict:  # type: ignore[no-untyped-def]
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= PROBLEM
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    assert problem["request_id"].startswith("rq_")
    assert "Server" not in answer.headers
    return problem


async def test_an_unknown_path(service: Service, demo: Client) -> None:
    for path in ("nothing", "api/", "api/datasets/", "api/whoami/x", "../../x", "%ff"):
        check_problem(await demo.get(path), 404, "not_found")
        check_problem(await service.anonymous().get(path), 404, "not_found")


async def test_an_unknown_path_of_openai_has_openais_shape(demo: Client) -> None:
    answer = await demo.get("v1/nothing")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_a_method_that_a_route_has_not(demo: Client) -> None:
    for method in ("PUT", "OPTIONS", "HEAD", "BREW"):
        answer = await demo.request(method, "api/datasets")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, POST"
        if method != "HEAD":
            check_problem(answer, 405, "method_not_allowed")


async def test_a_malformed_body(demo: Client) -> None:
    for body in (
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"name": "a", "name": "b"}',
        b'{"name": NaN}',
        b'{"name": ' + b"9" * 6000 + b"}",
        b"[" * 100_000,
        b'{"name": "x", "extra": 1}',
        b"{}",
        b"",
        b'{"name": {"a": 1}}',
    ):
        answer = await demo.post("api/datasets", content=body)
        problem = check_problem(answer, 422, "invalid_input")
        assert "pydantic" not in json.dumps(problem)


async def test_a_body_over_the_limit(demo: Client) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(50):
            yield b" " * 100_000

    answer = await demo.post("api/datasets", content=b" " * 5_000_000)
    check_problem(answer, 413, "too_large")
    check_problem(await demo.post("api/datasets", content=endless()), 413, "too_large")


async def test_an_unknown_query_parameter(demo: Client) -> None:
    check_problem(await demo.get("api/datasets?offset=3"), 422, "invalid_input")
    check_problem(await demo.get("api/datasets?limit=3&limit=4"), 422, "invalid_input")


async def test_a_bug_tells_nothing_but_the_request_id(service: Service, demo: Client) -> None:
    class Broken:
        async def create(self, dataset_id: str) -> None:
            raise RuntimeError("canary in an exception")

    service.services.drafts = Broken()  # type: ignore[assignment]
    stream, handlers = StringIO(), list(logging.getLogger().handlers)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    logging.getLogger().addHandler(handler)
    try:
        answer = await demo.post("api/datasets", json={"name": "x"})
    finally:
        logging.getLogger().handlers[:] = handlers
    problem = check_problem(answer, 500, "internal")
    assert "canary" not in answer.text
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    bug = next(line for line in lines if line["event"] == "unexpected_error")
    assert bug["request_id"] == problem["request_id"]
    assert bug["exception"].endswith("RuntimeError")
    assert "canary" not in stream.getvalue()
    service.services.drafts = type("Closed", (), {"close": lambda self: None})()


async def test_nothing_of_a_record_gets_into_logs_or_metrics_or_the_database(
    service: Service, demo: Client, tmp_path: Path
) -> None:
    stream, root = StringIO(), logging.getLogger()
    handlers, level = list(root.handlers), root.level
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.JsonFormatter())
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    canary = "canary7f3a"
    try:
        dataset = await demo.dataset()
        await demo.upload(dataset, alpaca(5, canary))
        await demo.upload(dataset, alpaca(5, canary)[:-30], "broken.json", 422)
        base = f"api/datasets/{dataset}/records"
        await demo.get(base, params={"search": canary})
        await demo.post(base, json={"record": {"kind": canary, "text": canary}})
        await demo.post(base, json={canary: canary})
        await demo.get(base, params={canary: canary})
        await demo.publish(dataset)
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    assert canary not in stream.getvalue()
    assert "token-of-" not in stream.getvalue()
    assert canary not in service.services.metrics.render().decode()
    state = service.services.settings.state_path
    for path in state.glob("adaptery.sqlite*"):
        assert canary.encode() not in path.read_bytes()
    requests = [
        line
        for line in map(json.loads, stream.getvalue().splitlines())
        if line["event"] == "request"
    ]
    assert {line["route"] for line in requests} >= {
        "api/datasets/{dataset}/files/{file}",
        "api/datasets/{dataset}/records",
    }
    assert all(line["request_id"].startswith("rq_") for line in requests)


async def test_health_is_open_and_says_nothing_more(service: Service) -> None:
    assert await service.anonymous().json("GET", "health") == {"status": "ok"}


async def test_metrics_are_for_admins_and_the_scrape_token(
    service: Service, demo: Client, tmp_path: Path
) -> None:
    check_problem(await demo.get("metrics"), 403, "not_allowed")
    check_problem(await service.anonymous().get("metrics"), 401, "not_authenticated")
    admin = service.client("admin", scopes=("read", "admin"))
    text = (await admin.get("metrics")).text
    assert 'adaptery_http_requests_total{method="GET",route="metrics",status="403"} 1.0' in text
    token = tmp_path / "scrape"
    token.write_text("a-scrape-token\n")
    service.services.settings.__dict__["scrape_token"] = token.read_text().strip()
    scraper = service.anonymous({"Authorization": "Bearer a-scrape-token"})
    assert (await scraper.get("metrics")).status_code == 200
    check_problem(await scraper.get("api/whoami"), 401, "not_authenticated")
    wrong = service.anonymous({"Authorization": "Bearer a-scrape-toke"})
    check_problem(await wrong.get("metrics"), 401, "not_authenticated")


async def test_openapi_describes_exactly_what_is_served(demo: Client) -> None:
    document = await demo.json("GET", "api/openapi.json")
    described = {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method != "parameters"
    }
    served = {
        ("/" + route.template.replace(":path", ""), method)
        for route in all_routes()
        for method in route.methods
    }
    assert described == served
    text = json.dumps(document)
    for name in set(part.split('"')[0] for part in text.split("#/components/schemas/")[1:]):
        assert name in document["components"]["schemas"]
    ids = [
        operation["operationId"]
        for item in document["paths"].values()
        for method, operation in item.items()
        if method != "parameters"
    ]
    assert len(ids) == len(set(ids))
