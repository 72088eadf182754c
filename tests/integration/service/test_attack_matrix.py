"""Every operation of the route table, asked by every kind of caller, against the written rule.

The service answers what `support.attack_rules` expects, in every single case.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adaptery_hub.routes import Operation, all_routes
from support.attack_rules import FIELDS, RULES, Caller, Right, expected
from support.attack_stage import Stage, Things
from support.hub_tables import BASE, WEIGHTS
from support.served_adapters import serve
from support.service import Client, running_service

OPTIONS = {"base_models": {BASE: "/models/tiny"}, "pinned_digests": {BASE: WEIGHTS}}
#: Names nothing of anyone's: pages, lists of one's own, what is the same for all, and what admins
#: do; scopes alone decide there, and `test_rights.py` walks them.
NO_THING = {
    "a/{tenant}/{adapter}/v1/embeddings",  # answered by its form alone
    "api/agents/{agent}",
    "api/tasks/{task}",
    "api/worker/attempts/{attempt}",  # of no user: test_worker_routes.py
    "views/{file}",
}

FILE = b'[{"instruction": "a", "output": "b"}]'

pytestmark = pytest.mark.timeout(280)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with running_service(tmp_path / "state", **OPTIONS) as service:
        await serve(service)
        yield Stage(service)


def operations() -> list[tuple[str, str, Operation]]:
    return [
        (method, route.template, operation)
        for route in all_routes()
        for method, operation in route.methods.items()
    ]


def test_the_rule_knows_every_operation_that_names_a_thing() -> None:
    named = {
        (method, template)
        for method, template, operation in operations()
        if "{" in template and operation.scope != "admin"
    }
    known = {key for key in named if key[1] in NO_THING or key in RULES}
    assert named - known == set()


async def test_every_caller_gets_what_the_rule_says(stage: Stage) -> None:
    things = await stage.things()
    callers = await stage.callers(things)
    differences, cases = [], 0
    for method, template, operation in operations():
        rule = RULES.get((method, template))
        if rule is None:
            continue
        for caller, client in callers:
            wanted = expected(caller, operation, rule)
            fresh = wanted is None and rule.spends
            on = await stage.things(only=rule.thing) if fresh else things
            cases += 1
            if problem := await _difference(client, method, template, on, wanted):
                differences.append(f"{caller.name}: {method} {template}: {problem}")
    assert "\n".join(differences) == ""
    assert cases > 800


async def test_what_a_field_names_takes_its_own_right(stage: Stage) -> None:
    things, common = await stage.things(), await stage.common()
    callers = await stage.callers(things)
    posts = {
        template: operation for method, template, operation in operations() if method == "POST"
    }
    differences = []
    for (template, field), rule in FIELDS.items():
        for caller, client in callers:
            wanted = expected(caller, posts[template], rule)
            body = {**common.body("POST", template), field: things.named(field)}
            body |= {"task": "grpo"} if field == "reward" else {}
            answer = await client.post(template, json=body)
            if problem := _judged(answer.status_code, answer.text, wanted):
                differences.append(f"{caller.name}: {template} {field}: {problem}")
    assert "\n".join(differences) == ""


async def test_members_edit_what_is_their_groups_and_nobody_else_sees_it(stage: Stage) -> None:
    things = await stage.things(group=True)
    rights = dict.fromkeys(("dataset", "adapter"), Right.EDIT)
    callers = [
        (Caller("member", rights=rights), stage.user("member", groups=("radiology",))),
        (Caller("who left"), stage.user("former")),
        (Caller("admin", scopes=frozenset({"read", "write", "infer", "admin"})), stage.admin),
    ]
    differences = []
    for method, template, operation in operations():
        rule = RULES.get((method, template))
        if rule is None or rule.thing not in rights:
            continue
        for caller, client in callers:
            wanted = expected(caller, operation, rule)
            fresh = wanted is None and rule.spends
            on = await stage.things(group=True, only=rule.thing) if fresh else things
            if problem := await _difference(client, method, template, on, wanted):
                differences.append(f"{caller.name}: {method} {template}: {problem}")
    assert "\n".join(differences) == ""


async def _difference(
    client: Client, method: str, template: str, things: Things, wanted: int | None
) -> str | None:
    """Ask, and return in which way the answer is not the one wanted."""
    params = things.query(method, template) or None
    content = FILE if method == "PUT" and "files" in template else None
    body = None if content else things.body(method, template)
    path = things.path(template)
    async with client.stream(method, path, json=body, content=content, params=params) as answer:
        status = answer.status_code
        if status == 200 and "event-stream" in answer.headers["content-type"]:
            return None if wanted is None else f"streams instead of {wanted}"
        text = (await answer.aread()).decode(errors="replace")
    return _judged(status, text, wanted)


def _judged(status: int, text: str, wanted: int | None) -> str | None:
    if wanted is None:
        return None if status not in (401, 403, 404, 500) else f"{status} {text[:300]}"
    return None if status == wanted else f"{status} instead of {wanted} {text[:300]}"


def test_a_rule_names_only_operations_that_there_are() -> None:
    there = {(method, template) for method, template, _ in operations()}
    assert {key for key in RULES if key not in there} <= {("PATCH", "api/adapters/{adapter}")}
