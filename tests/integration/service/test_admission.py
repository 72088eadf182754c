"""Revoking ends what is running: streams of events and answers, and downloads.

No test waits for the five seconds of a real service: a stream that looks again after an hour must
have been woken, and one that looks again all the time needs nobody to wake it.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from adaptery_hub.admissions import LOOK_AGAIN_SECONDS, Admissions
from adaptery_hub.database import tables
from adaptery_hub.database.statements import operations
from adaptery_hub.operations import Progress, _Running
from adaptery_hub.services import Services
from adaptery_hub.settings import ServiceSettings
from support.service import Client, Service, running_service
from support.shared_things import OPTIONS, TalkingFleet, connect, make_things
from support.waiting import eventually

NEVER, ALWAYS = 3600.0, 0.02
MOMENT_SECONDS = 10.0  # far less than NEVER; how long a loaded machine may take for ALWAYS

Lines = AsyncIterator[str]


def looking(seconds: float) -> Callable[[Services], None]:
    def change(services: Services) -> None:
        services.admissions = Admissions(seconds)

    return change


@asynccontextmanager
async def shared(tmp_path: Path, seconds: float) -> AsyncIterator[tuple[Service, Any]]:
    """Run a service with a thing of each kind that demo shares with a guest and with a group."""
    async with running_service(tmp_path / "state", looking(seconds), **OPTIONS) as service:
        demo = service.client("demo", groups=("radiology",), token="of-demo")
        things = await make_things(service, demo)
        for kind in ("dataset", "job", "adapter"):
            for principal in ("@guest", "radiology"):
                body = {"principal": principal, "right": "view"}
                await demo.json("PUT", f"api/{kind}s/{things[kind]}/grants", json=body)
        yield service, things


@asynccontextmanager
async def open_stream(client: Client, things: dict[str, str], kind: str) -> AsyncIterator[Lines]:
    """Open a stream that does not end by itself, and read its first line."""
    if kind == "job":
        request = client.stream("GET", f"api/jobs/{things['job']}/events")
    else:
        body = {"model": things["model"], "messages": [{"role": "user", "content": "hi"}]}
        request = client.stream("POST", "v1/chat/completions", json=body | {"stream": True})
    async with request as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        await anext(lines)
        yield lines


async def last_event(lines: Lines) -> dict[str, Any]:
    """Read a stream to its end, which must come in a moment; return its last event."""
    data = ""
    async with asyncio.timeout(MOMENT_SECONDS):
        async for line in lines:
            data = line.removeprefix("data: ") if line.startswith("data: ") else data
    event = json.loads(data)
    return event.get("error", event)


async def revoke(service: Service, things: dict[str, str], kind: str, how: str) -> None:
    thing = things["job"] if kind == "job" else things["adapter"]
    if how == "here":
        demo = service.client("demo", groups=("radiology",))
        noun = "jobs" if kind == "job" else "adapters"
        path = f"api/{noun}/{thing}/grants"
        await demo.json("DELETE", path, 204, params={"principal": "@guest"})
    elif how == "in another process":
        gone = sa.delete(tables.grants).where(tables.grants.c.thing_id == thing)
        await service.services.db.write(lambda c: c.execute(gone))
    elif how == "suspended":
        guest = sa.update(tables.tenants).where(tables.tenants.c.hub_name == "guest")
        await service.services.db.write(lambda c: c.execute(guest.values(state="suspended")))
    elif how == "token":
        del service.identities.models["of-guest"]
    elif how == "scope":
        service.identities.add("of-guest", "guest", scopes=())
    elif how == "nobody can tell":  # a fault of ours, or of the database
        await service.services.db.write(lambda c: c.execute(sa.text("DROP TABLE grants")))


#: How it ends -> how often streams look, and what the caller is told.
ENDINGS = {
    "here": (NEVER, "not_found"),
    "in another process": (ALWAYS, "not_found"),
    "suspended": (ALWAYS, "not_allowed"),
    "token": (ALWAYS, "not_authenticated"),
    "scope": (ALWAYS, "not_allowed"),
    "nobody can tell": (ALWAYS, "internal"),
}


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("kind", ["job", "chat"])
async def test_a_stream_ends_with_the_right_to_it(tmp_path: Path, kind: str, how: str) -> None:
    seconds, code = ENDINGS[how]
    async with shared(tmp_path, seconds) as (service, things):
        fleet = TalkingFleet()
        connect(service, fleet)
        guest = service.client("guest", token="of-guest")
        async with open_stream(guest, things, kind) as lines:
            await revoke(service, things, kind, how)
            ended = await last_event(lines)
        assert ended["code"] == code
        if kind == "chat":
            await asyncio.wait_for(fleet.ended.wait(), MOMENT_SECONDS)  # and so has its engine
        turnstiles = (service.services.streams, service.services.answers)
        await eventually(lambda: not any(turnstile._open for turnstile in turnstiles))


async def test_a_stream_ends_for_who_has_left_the_group(tmp_path: Path) -> None:
    async with shared(tmp_path, ALWAYS) as (service, things):
        member = service.client("member", groups=("radiology",), token="of-member")
        async with open_stream(member, things, "job") as lines:
            service.identities.add("of-member", "member", groups=())
            assert (await last_event(lines))["code"] == "not_found"


async def test_a_stream_goes_on_for_who_still_has_the_right(tmp_path: Path) -> None:
    """A grant less is no right less for whom another one gives it; nor for the owner."""
    async with shared(tmp_path, ALWAYS) as (service, things):
        fleet = TalkingFleet()
        connect(service, fleet)
        owner = service.client("demo")
        both = service.client("guest", groups=("radiology",))
        for client in (owner, both):
            async with open_stream(client, things, "chat") as lines:
                await revoke(service, things, "chat", "here") if client is owner else None
                before = service.identities.checks
                await eventually(lambda b=before: service.identities.checks > b + 3)
                fleet.go_on.set()
                await anext(lines)  # the blank line behind the first event
                assert "word" in await asyncio.wait_for(anext(lines), MOMENT_SECONDS)


async def test_a_whole_answer_is_not_given_to_whom_it_is_not_due_any_more(tmp_path: Path) -> None:
    async with shared(tmp_path, NEVER) as (service, things):
        fleet = TalkingFleet()
        connect(service, fleet)
        guest = service.client("guest", token="of-guest")
        body = {"model": things["model"], "messages": [{"role": "user", "content": "hi"}]}
        asking = asyncio.create_task(guest.post("v1/chat/completions", json=body))
        await eventually(lambda: service.services.admissions._watches)
        await revoke(service, things, "chat", "here")
        answer = await asyncio.wait_for(asking, MOMENT_SECONDS)
        assert answer.status_code == 404 and "word" not in answer.text
        await asyncio.wait_for(fleet.ended.wait(), MOMENT_SECONDS)


async def test_a_hub_that_does_not_answer_ends_nothing_and_keeps_nobody_in(tmp_path: Path) -> None:
    async with shared(tmp_path, ALWAYS) as (service, things):
        guest = service.client("guest", token="of-guest")
        async with open_stream(guest, things, "job") as lines:
            service.identities.silent = True
            asked = service.identities.checks
            await eventually(lambda: service.identities.checks > asked + 3)
            service.identities.silent = False
            await revoke(service, things, "job", "in another process")
            assert (await last_event(lines))["code"] == "not_found"


async def test_an_operation_is_followed_only_by_who_may_view_its_dataset(tmp_path: Path) -> None:
    async with shared(tmp_path, NEVER) as (service, things):
        owner = service.client("demo")
        path = f"api/datasets/{things['dataset']}/grants"
        await owner.json("PUT", path, json={"principal": "@guest", "right": "manage"})
        guest = service.client("guest")
        tenant = (await guest.json("GET", "api/whoami"))["id"]
        row = {"kind": "publish", "thing_id": things["dataset"], "tenant_id": tenant}
        await service.services.db.write(lambda c: _insert_operation(c, row))
        _keep_running(service, "op_running")
        async with guest.stream("GET", "api/operations/op_running/events") as answer:
            assert answer.status_code == 200
            lines = answer.aiter_lines()
            await anext(lines)
            await owner.json("DELETE", path, 204, params={"principal": "@guest"})
            # What the group has is not the guest's: nothing is left.
            assert (await last_event(lines))["code"] == "not_found"
        service.services.operations._running.clear()


def _insert_operation(connection: Any, row: dict[str, str]) -> None:
    operations.insert(connection, operation_id="op_running", **row)


def _keep_running(service: Service, operation: str) -> None:
    progress = Progress(asyncio.get_running_loop())
    service.services.operations._running[operation] = _Running(progress)


async def test_a_download_is_cut_when_the_right_goes(tmp_path: Path) -> None:
    async with shared(tmp_path, ALWAYS) as (service, things):
        _never_end(service)
        guest = service.client("guest")
        path = f"api/versions/{things['version']}/download"
        with pytest.raises(httpx.RemoteProtocolError):
            async with guest.stream("GET", path) as answer:
                assert answer.status_code == 200
                gone = sa.delete(tables.grants)
                await service.services.db.write(lambda c: c.execute(gone))
                async with asyncio.timeout(MOMENT_SECONDS):
                    async for _ in answer.aiter_raw():
                        continue


def _never_end(service: Service) -> None:
    """Let the records of a version come for ever."""
    real = service.services.published

    class Endless:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def records(self, prefix: str) -> Any:
            while True:
                yield from real.records(prefix)

    service.services.published = Endless()  # type: ignore[assignment]


def test_what_the_hub_revokes_is_over_within_thirty_seconds() -> None:
    believed = ServiceSettings().identity_cache_seconds
    assert believed + LOOK_AGAIN_SECONDS <= 30
