"""What is another's looks exactly like what never was: same answer, same number of queries.

Every operation, and every field of every body and query that holds a text, is given the name of a
real thing and that of one that does not exist, by somebody who has no right to the first.
"""

from __future__ import annotations

import re
import types
import typing
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import BaseModel

from adaptery.schemas.fine_tuning import FineTuningRequest
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.preflight import PreflightRequest
from adaptery_hub.routes import Operation, all_routes
from support.attack_rules import RULES
from support.attack_stage import Stage, Things
from support.hub_tables import BASE, WEIGHTS
from support.served_adapters import serve
from support.service import Client, Service, running_service

OPTIONS = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}
#: How a thing can be named: its id, and its names as people write them.
FORMS = (
    "{id}",
    "{tenant}/{name}",
    "{tenant}/{name}@1",
    "{TENANT}/{name}",
    "{tenant}/{name}/",
    "{tenant}/./{name}",
    "{tenant}%2F{name}",
    " {tenant}/{name}",
    "{tenant}\uff0f{name}",
    "{job}",
    "{job}:{tenant}/{name}",
)
#: How jobs and OpenAI's routes name things besides.
MORE_FORMS = (
    "{version}",
    "{job}-step10",
    "{tenant}/{name}@1-step10",
    "file-{file}",
    "ftjob-{tail}",
)
#: Fields that are looked at only when the rest of a body is right, which is the caller's own then.
LATER = {"validation", "start_from", "reward", "cloned_from", "validation_file", "model"}
#: How often a pair is asked before a difference counts: the service has work of its own, too.
TRIES = 4
#: What submits or foretells jobs.
JOBS: dict[str, type[BaseModel]] = {
    "api/jobs": JobCreate,
    "api/jobs/preflight": PreflightRequest,
    "api/jobs/preflight/batch": PreflightRequest,
    "v1/fine_tuning/jobs": FineTuningRequest,
}
_ULID = re.compile(r"\b(rq|chatcmpl-rq|cmpl-rq)_[0-9a-z]{26}")
_AROUND = (typing.Union, types.UnionType, tuple, list, typing.Annotated)
_SECONDS = re.compile(r'"created": \d+')

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        await serve(service)
        yield Stage(service)


class Queries:
    """Counts what is asked of the database."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, *_: object) -> None:
        self.count += 1


@contextmanager
def counted(service: Service) -> Iterator[Queries]:
    queries, database = Queries(), service.services.db
    engines = {database.engine, database.reader}
    for engine in engines:
        sa.event.listen(engine, "before_cursor_execute", queries)
    try:
        yield queries
    finally:
        for engine in engines:
            sa.event.remove(engine, "before_cursor_execute", queries)


def twin(things: Things) -> Things:
    """Return things of the same forms that do not exist."""
    ids = {kind: id[:3] + "0" * 10 + id[13:] for kind, id in things.ids.items()} | {
        "record": "1",
        "queue": "pii",
        "step": things.ids["step"],
    }
    return Things(ids, things.tenant, things.name[:-1] + "x")


async def seen(
    stage: Stage, client: Client, method: str, things: Things, path: str, **sent: object
) -> tuple[int, str, int]:
    """Return what a caller sees of an answer, with the name of the thing taken out."""
    with counted(stage.service) as queries:
        answer = await client.request(method, path, **sent)
    text = _SECONDS.sub("", _ULID.sub("", answer.text))
    for word in (things.name, *things.ids.values()):
        if len(word) > 1:
            text = text.replace(word, "-")
    return answer.status_code, text, queries.count


async def same(
    stage: Stage, client: Client, method: str, pair: list[tuple[Things, str, dict[str, object]]]
) -> str | None:
    """Ask for both; return the difference if there is always one."""
    found: list[tuple[int, str, int]] = []
    for _ in range(TRIES):
        found = [await seen(stage, client, method, t, path, **sent) for t, path, sent in pair]
        if found[0] == found[1]:
            return None
    return f"{found[0]} against {found[1]}"


async def test_no_operation_tells_whether_a_thing_is_there(stage: Stage) -> None:
    real = await stage.things()
    client, missing = stage.user("unrelated"), twin(real)
    await client.json("GET", "api/whoami")
    differences = []
    for method, template in RULES:
        pair = [
            (things, things.path(template), {"json": things.body(method, template)})
            for things in (real, missing)
        ]
        if problem := await same(stage, client, method, pair):
            differences.append(f"{method} {template}: {problem}")
    assert "\n".join(differences) == ""


async def test_no_field_of_any_body_tells_or_reaches_what_is_anothers(stage: Stage) -> None:
    real = await stage.things()
    client, missing = stage.user("unrelated"), twin(real)
    await client.json("GET", "api/whoami")
    differences, cases = [], 0
    for method, template, operation in operations():
        if operation.request is None or operation.scope == "admin":
            continue
        for place in text_places(operation.request):
            for form in FORMS:
                pair = [
                    (
                        things,
                        things.path(template),
                        {"json": put(things, method, template, place, form)},
                    )
                    for things in (real, missing)
                ]
                cases += 1
                if problem := await same(stage, client, method, pair):
                    differences.append(f"{method} {template} {place} {form}: {problem}")
    assert "\n".join(differences) == ""
    assert cases > 200


async def test_no_later_field_of_a_job_tells_or_reaches_what_is_anothers(stage: Stage) -> None:
    real, common = await stage.things(), await stage.common()
    client, missing = stage.user("unrelated"), twin(real)
    differences, cases = [], 0
    for template, schema in JOBS.items():
        for place in LATER & set(schema.model_fields):
            body = common.body("POST", template) | ({"task": "grpo"} if place == "reward" else {})
            for form in (*FORMS, *MORE_FORMS):
                pair = [
                    (things, template, {"json": {**body, place: spelt(things, form)}})
                    for things in (real, missing)
                ]
                cases += 1
                if problem := await same(stage, client, "POST", pair):
                    differences.append(f"{template} {place} {form}: {problem}")
    assert "\n".join(differences) == ""
    assert cases > 150


async def test_no_query_tells_or_reaches_what_is_anothers(stage: Stage) -> None:
    real = await stage.things()
    client, missing = stage.user("unrelated"), twin(real)
    await client.json("GET", "api/whoami")
    differences = []
    for method, template, operation in operations():
        if operation.scope in ("admin", "session") or "{" in template:
            continue
        for name in operation.query:
            for form in (*FORMS, *MORE_FORMS):
                key = name.replace("[]", "[a]")
                pair = [(t, template, {"params": {key: spelt(t, form)}}) for t in (real, missing)]
                if problem := await same(stage, client, method, pair):
                    differences.append(f"{method} {template}?{name}={form}: {problem}")
    assert "\n".join(differences) == ""


async def test_what_is_compared_would_show_a_difference(stage: Stage) -> None:
    real = await stage.things()
    for template in ("api/datasets/{dataset}", "v1/models/{name:path}"):
        pair = [(things, things.path(template), {}) for things in (real, twin(real))]
        assert await same(stage, stage.owner, "GET", pair)
        assert (await seen(stage, stage.owner, "GET", *pair[0][:2]))[2] > 0


def operations() -> list[tuple[str, str, Operation]]:
    return [
        (method, route.template, operation)
        for route in all_routes()
        for method, operation in route.methods.items()
    ]


def text_places(schema: type[BaseModel]) -> list[str]:
    """Return the fields that hold a text, or a list of texts."""
    return [name for name, field in schema.model_fields.items() if _holds_text(field.annotation)]


def _holds_text(annotation: object) -> bool:
    if annotation is str:
        return True
    if typing.get_origin(annotation) in (
        typing.Union,
        types.UnionType,
        tuple,
        list,
        typing.Annotated,
    ):
        return any(map(_holds_text, typing.get_args(annotation)))
    return False


def spelt(things: Things, form: str) -> str:
    """Return a thing's name in a form."""
    return form.format(
        id=things.ids["adapter"],
        job=things.ids["job"],
        version=things.ids["version"],
        file=things.ids["dataset"][3:],
        tail=things.ids["job"][3:],
        tenant=things.tenant,
        TENANT=things.tenant.upper(),
        name=things.name,
    )


def put(things: Things, method: str, template: str, place: str, form: str) -> dict[str, object]:
    """Return a right body of the caller's own with a name put in one place."""
    body = {"model": "", **things.body(method, template)}
    if not template.startswith(("v1/", "a/", "sealed/")):
        body.pop("model")
    own = {"dataset": "@unrelated/none@1"} if template == "api/jobs" else {}
    text = spelt(things, form)
    value: object = [text] if place in ("adapters", "tried", "stop", "input", "prompt") else text
    return {**body, **own, place: value}
