"""Processes killed with -9 in the middle of a job: it completes once. SIGTERM leaves nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from local_hub import HubProcess, HubUser
from support.api import Api, alpaca, make_version, submit, wait_for_job
from support.hubs import start_hub
from support.waiting import eventually_sync

pytestmark = pytest.mark.timeout(420)

STEPS = 240
SAVE_STEPS = 20
WORDS = {
    "worker": ("-m", "adaptery_training"),
    "agent": ("agent", "run"),
    "broker": ("nats-server",),
    "service": ("adaptery_hub.app",),
}


@pytest.fixture(scope="module")
def own_hub(tmp_path_factory: pytest.TempPathFactory, tiny_base: Path) -> Iterator[HubProcess]:
    hub = start_hub(tmp_path_factory.mktemp("kills") / "state", tiny_base)
    yield hub
    hub.stop()


def steps_seen(api: Api, job: str) -> list[int]:
    """Return the training steps in the order in which they were reported."""
    steps, after = [], ""
    while True:
        page = api.get(f"api/jobs/{job}/metrics", params={"limit": 200, "after": after})
        if page.status_code >= 500:
            return steps  # the service is the one that was killed
        items = page.json()["items"]
        steps += [item["data"]["step"] for item in items]
        if not page.json()["has_more"]:
            return steps
        after = items[-1]["seq"]


def found(hub: HubProcess, name: str) -> psutil.Process:
    process = eventually_sync(lambda: hub.find(*WORDS[name]), timeout_seconds=60)
    assert process is not None
    return process


@pytest.mark.slow  # the fast tier kills each of them in tests of agent, fleet and gateway
def test_a_job_outlives_every_process(own_hub: HubProcess) -> None:
    api = Api.of(HubUser(own_hub, "demo"))
    _, version = make_version(api, "hardy", alpaca(12))
    job = submit(api, "hardy", version["name"], max_steps=STEPS, save_steps=SAVE_STEPS)["id"]

    def beyond(step: int) -> Callable[[], bool]:
        def reached() -> bool:
            now = own_job(api, job)
            assert now is None or now["state"] not in ("failed", "cancelled"), now
            return max(steps_seen_or_none(api, job), default=0) >= step

        return reached

    for number, name in enumerate(("worker", "service", "broker", "agent"), start=1):
        eventually_sync(beyond(number * 30), timeout_seconds=90, every_seconds=0.2)
        found(own_hub, name).kill()

    done = wait_for_job_through_restarts(api, job)
    assert done["state"] == "completed"
    assert done["attempts"] == 2, "the killed worker costs an attempt, all else none"
    assert set(steps_seen(api, job)) == set(range(1, STEPS + 1))
    adapters = api.json("GET", "api/adapters")["items"]
    assert [a["job"] for a in adapters] == [job]
    attempts = [e for e in all_events(api, job) if e.get("data", {}).get("state") == "completed"]
    assert len(attempts) == 1


def test_sigterm_leaves_no_process(own_hub: HubProcess) -> None:
    api = Api.of(HubUser(own_hub, "demo"))
    _, version = make_version(api, "unfinished", alpaca(12))
    job = submit(api, "unfinished", version["name"], max_steps=5000)["id"]
    wait_for_job(api, job, "training")
    worker = found(own_hub, "worker")
    assert own_hub.stop() == []
    assert not worker.is_running()
    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["cmdline"])
        if any(str(own_hub.state) in word for word in process.info["cmdline"] or [])
    ]
    assert left == []


def own_job(api: Api, job: str) -> dict | None:
    try:
        answer = api.get(f"api/jobs/{job}")
    except httpx.HTTPError:
        return None
    return answer.json() if answer.status_code == 200 else None


def steps_seen_or_none(api: Api, job: str) -> list[int]:
    try:
        return steps_seen(api, job)
    except (httpx.HTTPError, KeyError, ValueError):
        return []


def wait_for_job_through_restarts(api: Api, job: str) -> dict:
    def ended() -> dict | None:
        now = own_job(api, job)
        return now if now and now["state"] in ("completed", "failed", "cancelled") else None

    done = eventually_sync(ended, timeout_seconds=240, every_seconds=0.5)
    assert done is not None
    return done


def all_events(api: Api, job: str) -> list[dict]:
    import json

    with api.stream("GET", f"api/jobs/{job}/events") as answer:
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]
