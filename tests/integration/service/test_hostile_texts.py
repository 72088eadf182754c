"""Texts that a database chokes on, in every place of every operation, on each kind of database."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adaptery_hub.routes import Operation, all_routes
from support.attack_rules import RULES
from support.attack_stage import Stage
from support.databases import KINDS, empty_database
from support.hub_tables import BASE, WEIGHTS
from support.served_adapters import serve
from support.service import running_service

OPTIONS = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}
NUL = "%00"
#: What an id is given as; numbers are beyond what databases count with.
HOSTILE = (NUL, "99999999999", "9" * 30, "%F0%9F%98%80", "'--", "%5C", "%22")
#: How ids begin, so that what comes behind is looked up.
BEGINNINGS = {
    "dataset": "ds_",
    "version": "dv_",
    "job": "jb_",
    "adapter": "ad_",
    "key": "ak_",
    "operation": "op_",
    "file": "fi_",
    "agent": "ag_",
    "attempt": "at_",
    "tenant": "@",
    "training_file": "file-",
    "fine_tuning_job": "ftjob-",
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(params=KINDS)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    database = empty_database(request.param, tmp_path)
    database.close()
    async with running_service(tmp_path / "state", **OPTIONS, database_url=database.url) as service:
        await serve(service)
        yield Stage(service)


def operations() -> list[tuple[str, str, Operation]]:
    return [
        (method, route.template, operation)
        for route in all_routes()
        for method, operation in route.methods.items()
        if operation.scope not in ("open", "session", "worker")
    ]


async def test_no_id_and_no_query_ends_in_an_error_of_ours(stage: Stage) -> None:
    things = await stage.things()
    failed = []

    async def ask(method: str, path: str, body: dict[str, object] | None) -> None:
        answer = await stage.admin.request(method, path, json=body)
        if answer.status_code == 500:
            failed.append(f"{method} {path}: {answer.text[:80]}")

    for method, template, operation in operations():
        body = things.body(method, template) if method in ("POST", "PUT", "PATCH") else None
        if "{" in template:
            for text in HOSTILE:
                await ask(method, filled(template, text), body)
        elif method == "GET":
            for name in operation.query:
                for text in HOSTILE:
                    key = name.replace("[]", f"%5Ba{text}%5D")
                    await ask(method, f"{template}?{key}={BEGINNINGS.get(name, '')}{text}", body)
    for path in ("events", "metrics", "log", "checkpoints"):
        for text in HOSTILE:
            await ask("GET", f"api/jobs/{things.ids['job']}/{path}?after={text}", None)
            await ask("GET", f"api/versions/{things.ids['version']}/records?after={text}", None)
    assert "\n".join(failed) == ""


async def test_no_text_of_a_body_ends_in_an_error_of_ours(stage: Stage) -> None:
    things = await stage.things()
    failed = []
    for method, template, operation in operations():
        rule = RULES.get((method, template))
        if operation.request is None or (rule is not None and rule.spends):
            continue
        client = stage.owner if rule is not None else stage.admin
        path = things.path(template) if rule is not None else filled(template, "x")
        for name, field in operation.request.model_fields.items():
            if "str" not in str(field.annotation):
                continue
            for text in ("\0", "ds_\0", "file-\0", "@a/\0", "jb_\0-step1", "\U0001f600" * 40):
                values = (
                    (text, [text], {text: text})
                    if "dict" not in str(field.annotation)
                    else (
                        {"a": text},
                        {text: "a"},
                    )
                )
                for value in values:
                    body = {**things.body(method, template), name: value}
                    answer = await client.request(method, path, json=body)
                    if answer.status_code == 500:
                        failed.append(f"{method} {template} {name}={value!r}")
    assert "\n".join(failed) == ""
    await stage.owner.json("GET", "v1/fine_tuning/jobs?metadata[a]=b")


def filled(template: str, text: str) -> str:
    return re.sub(
        r"\{(\w+)(?::path)?\}", lambda match: BEGINNINGS.get(match[1], "") + text, template
    )
