"""Datasets in the client, against a scripted service below httpx."""

import httpx
import pytest

from adaptery.errors import (
    DeadlineError,
    InvalidInputError,
    NotFoundError,
    RecordError,
)
from support.scripted_service import (
    ScriptedService,
    connect,
    dataset,
    operation,
    version,
)


def test_lists_are_fetched_page_by_page():
    one, two = dataset(), dataset(name="b", full_name="@demo/b")
    service = ScriptedService().on(
        "GET",
        "api/datasets",
        {"items": [one], "has_more": True},
        {"items": [two], "has_more": False},
    )
    assert [found.full_name for found in connect(service).datasets.list()] == [
        "@demo/visits",
        "@demo/b",
    ]
    assert service.requests[1].url.params["after"] == one["id"]


def test_a_dataset_is_found_by_name_where_that_is_clear():
    mine, shared = dataset(), dataset(full_name="radiology/visits")
    page = {"items": [mine, shared], "has_more": False}
    datasets = connect(ScriptedService().on("GET", "api/datasets", page)).datasets
    assert datasets.get("radiology/visits").id == shared["id"]
    with pytest.raises(InvalidInputError, match="several"):
        datasets.get("visits")
    with pytest.raises(NotFoundError):
        datasets.get("other")


def publish(*operations):
    info = dataset()
    service = ScriptedService().on("POST", "api/datasets", info)
    service.on(
        "POST", f"api/datasets/{info['id']}/versions", httpx.Response(202, json=operations[0])
    )
    service.on("GET", "api/operations/op_1", *operations[1:] or operations)
    return connect(service).datasets.create("visits")


def test_publishing_waits_for_its_operation():
    done = operation("completed", result={"version": version(number=4)})
    seen = []
    running = operation("running", done=1, total=2)
    published = publish(running, running, done).publish(progress=lambda *step: seen.append(step))
    assert published.info.number == 4 and published.name == "@demo/visits@1"
    assert seen == [(1, 2), (1, 2), (0, None)]


def test_a_publication_that_failed_raises_why():
    error = RecordError("record 2 is empty").to_problem("rq_1")
    with pytest.raises(RecordError, match="record 2"):
        publish(operation("running"), operation("failed", error=error)).publish()
    with pytest.raises(DeadlineError):
        publish(operation("running")).publish(timeout_seconds=0)
