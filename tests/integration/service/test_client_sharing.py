"""The Python client shares things of the real service."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

import adaptery
from adaptery.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from support.service import Client, Service
from support.shared_things import make_things


async def with_hub(service: Service, client: Client, work: Callable[[adaptery.Hub], None]) -> None:
    """Let the client, which waits for its answers, work in a thread."""

    def run() -> None:
        with adaptery.connect(service.url, token) as hub:
            work(hub)

    token = client.headers["Authorization"].removeprefix("Bearer ")
    await asyncio.to_thread(run)


async def test_things_are_shared_listed_and_unshared(
    service: Service, demo: Client, guest: Client
) -> None:
    things = await make_things(service, demo)

    def give(hub: adaptery.Hub) -> None:
        dataset, job = hub.datasets.get(things["dataset"]), hub.jobs.get(things["job"])
        assert dataset.share("radiology", "use").principal == "radiology"
        assert dataset.share("@guest", "view").by == "@demo"
        job.share("@guest", "view")
        for name in (things["adapter"], things["model"], "@demo/notes"):
            assert hub.adapters.share(name, "@guest", "use").right == "use"
        shown = dataset.shared_with()
        assert [(grant.principal, grant.right) for grant in shown] == [
            ("radiology", "use"),
            ("@guest", "view"),
        ]
        assert "radiology" in shown._repr_html_()
        for wrong in (lambda: dataset.share("@guest", "own"), lambda: dataset.share("", "use")):  # type: ignore[arg-type]
            with pytest.raises(InvalidInputError):
                wrong()
        with pytest.raises(ConflictError):
            dataset.share("@demo", "use")
        with pytest.raises(NotFoundError):
            hub.adapters.share("@demo/note", "@guest", "use")

    def have(hub: adaptery.Hub) -> None:
        assert [dataset.full_name for dataset in hub.datasets.list()] == ["@demo/secret"]
        assert [adapter.right for adapter in hub.adapters.list()] == ["use"]
        hub.jobs.get(things["job"]).log()
        with pytest.raises(NotAllowedError):
            hub.datasets.get(things["dataset"]).share("@friend", "view")

    def take(hub: adaptery.Hub) -> None:
        dataset = hub.datasets.get(things["dataset"])
        for grant in dataset.shared_with():
            dataset.unshare(grant)
        assert dataset.shared_with() == []
        hub.jobs.get(things["job"]).unshare("@guest")
        hub.adapters.unshare(things["model"], "@guest")
        assert hub.adapters.shared_with(things["adapter"]) == []
        with pytest.raises(NotFoundError):
            dataset.unshare("@guest")

    await with_hub(service, demo, give)
    await with_hub(service, guest, have)
    await with_hub(service, demo, take)
    assert (await guest.json("GET", "api/datasets"))["items"] == []


@asynccontextmanager
async def shared_job(service: Service, demo: Client) -> AsyncIterator[tuple[str, str]]:
    job = (await make_things(service, demo))["job"]
    path = f"api/jobs/{job}/grants"
    await demo.json("PUT", path, json={"principal": "@guest", "right": "view"})
    yield job, path


@pytest.mark.parametrize("way", ["watch", "verb"])
async def test_whoever_watches_a_job_is_told_that_the_right_has_gone(
    service: Service, demo: Client, guest: Client, way: str
) -> None:
    async with shared_job(service, demo) as (job, path):
        loop, begun = asyncio.get_running_loop(), asyncio.Event()

        def watch(hub: adaptery.Hub) -> None:
            events = (
                hub.jobs.get(job).watch()
                if way == "watch"
                else hub.verbs.answer("jobs.events", {"job": job})
            )
            with pytest.raises(NotFoundError):
                for _ in events:
                    loop.call_soon_threadsafe(begun.set)

        watching = asyncio.create_task(with_hub(service, guest, watch))
        await begun.wait()
        await demo.json("DELETE", path, 204, params={"principal": "@guest"})
        await asyncio.wait_for(watching, 10)
