"""What each widget shows at first, from whatever the caller named."""

from collections.abc import Iterator
from typing import Any

import pytest

from adaptery.client import Dataset, Hub, Job, Version
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.schemas import datasets, jobs
from adaptery.times import now, to_text
from adaptery_widgets import Chat, Curate, Jobs, Keys, Train, Watch
from adaptery_widgets._kernel_host import ViewWidget
from support.scripted_http import ScriptedHttp, scripted_http

DATASET = "ds_" + "0" * 26
OLD, NEW = "dv_" + "0" * 25 + "1", "dv_" + "0" * 25 + "2"
FIRST, LAST = "jb_" + "0" * 25 + "1", "jb_" + "0" * 25 + "2"


def dataset() -> dict[str, Any]:
    return {
        "id": DATASET,
        "name": "visits",
        "full_name": "@demo/visits",
        "tenant": "demo",
        "sensitivity": "internal",
        "description": "",
        "records": 0,
        "right": "manage",
        "created_at": to_text(now()),
        "updated_at": to_text(now()),
    }


def version(number: int, id: str) -> dict[str, Any]:
    return {
        "id": id,
        "dataset": DATASET,
        "number": number,
        "name": f"@demo/visits@{number}",
        "content_digest": None,
        "manifest_digest": None,
        "records": 1,
        "duplicates_dropped": 0,
        "state": "published",
        "created_at": to_text(now()),
    }


def job(id: str, adapter: str | None = None) -> dict[str, Any]:
    return {
        "id": id,
        "name": "soap",
        "tenant": "demo",
        "task": "training-v0",
        "base_model": "tiny",
        "dataset": OLD,
        "state": "completed",
        "reason": None,
        "position": None,
        "cancel_requested": False,
        "queue": "training",
        "progress": 1.0,
        "attempts": 1,
        "adapter": adapter,
        "adapter_id": None,
        "created_at": to_text(now()),
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "summary": None,
        "options": {},
    }


def page(*items: dict[str, Any]) -> dict[str, Any]:
    return {"items": items, "has_more": False}


@pytest.fixture
def service() -> Iterator[ScriptedHttp]:
    script = {
        "GET api/datasets": page(dataset()),
        f"GET api/datasets/{DATASET}": dataset(),
        f"GET api/datasets/{DATASET}/versions": page(version(1, OLD), version(2, NEW)),
        "GET api/jobs": page(job(FIRST), job(LAST, "@demo/soap@2")),
    }
    with scripted_http(script) as running:
        yield running


@pytest.fixture
def hub(service: ScriptedHttp) -> Hub:
    return service.connect()


def objects(hub: Hub) -> tuple[Dataset, Version, Job]:
    connection = hub.datasets.list()[0].connection
    return (
        Dataset(connection, datasets.Dataset.model_validate(dataset())),
        Version(connection, datasets.Version.model_validate(version(1, OLD))),
        Job(connection, jobs.Job.model_validate(job(LAST, "@demo/soap@2"))),
    )


def test_jobs_to_compare_are_named_by_object_or_id(hub: Hub) -> None:
    _, _, last = objects(hub)
    assert Jobs(compare=[FIRST, last]).start() == {"compare": f"{FIRST},{LAST}"}


def test_nothing_named_is_for_the_view_to_choose(hub: Hub, service: ScriptedHttp) -> None:
    views = (Curate, Train, Jobs, Chat, Keys)
    widgets: list[ViewWidget] = [view(hub=hub) for view in views]
    assert [widget.start() for widget in widgets] == [{}] * len(views)
    assert Jobs("soap", hub=hub).start() == {"search": "soap"}
    assert Chat("@demo/soap", hub=hub).start() == {"model": "@demo/soap"}
    assert Keys("@demo/soap", hub=hub).start() == {"adapter": "@demo/soap"}
    assert service.asked == []


@pytest.mark.parametrize("name", [DATASET, "@demo/visits", "visits"])
def test_a_dataset_is_named_by_id_or_name(hub: Hub, name: str) -> None:
    assert Curate(name, hub=hub).start() == {"dataset": DATASET}


@pytest.mark.parametrize(
    ("name", "id"),
    [
        (OLD, OLD),
        ("@demo/visits@1", OLD),
        ("visits@2", NEW),
        ("@demo/visits", NEW),
        (DATASET, NEW),
    ],
)
def test_a_version_without_a_number_is_the_newest(hub: Hub, name: str, id: str) -> None:
    assert Train(name, hub=hub).start() == {"version": id}


@pytest.mark.parametrize("name", [LAST, "soap", "@demo/soap@2"])
def test_a_job_is_the_newest_of_its_name(hub: Hub, name: str) -> None:
    assert Watch(name, hub=hub).start() == {"job": LAST}
    assert Train(job=name, hub=hub).start() == {"job": LAST}


def test_objects_bring_their_connection(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADAPTERY_URL", raising=False)
    visits, first, soap = objects(hub)
    assert Curate(visits).start() == {"dataset": DATASET}
    assert Train(first).start() == {"version": OLD}
    assert Train(visits).start() == {"version": NEW}
    assert Watch(soap).start() == {"job": LAST}
    assert Chat(soap).start() == {"model": "@demo/soap@2"}
    assert Keys(soap).start() == {"adapter": "@demo/soap@2"}
    assert Watch(soap).hub.url == hub.url
    with pytest.raises(InvalidInputError, match="ADAPTERY_URL"):
        Jobs()


def test_what_does_not_exist_is_said_when_the_view_asks(hub: Hub) -> None:
    for widget in (Curate("nothing", hub=hub), Train("visits@9", hub=hub), Watch("x", hub=hub)):
        with pytest.raises(NotFoundError):
            widget.start()
    with pytest.raises(InvalidInputError, match="has made no adapter"):
        Chat(hub.jobs.list()[0]).start()
