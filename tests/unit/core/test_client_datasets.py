"""Datasets in the client, against a scripted service below httpx."""

import hashlib

import httpx
import pytest

from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RecordError,
)
from adaptery.ids import new_id
from support.scripted_service import (
    AT,
    ScriptedService,
    connect,
    dataset,
    operation,
    problem,
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


def upload(tmp_path, service, content, **options):
    path = tmp_path / "my visits.json"
    path.write_bytes(content)
    info = dataset()
    file = {
        "id": new_id("fi"),
        "dataset": info["id"],
        "name": path.name,
        "digest": options.pop("digest", "sha256:" + hashlib.sha256(content).hexdigest()),
        "bytes": len(content),
        "format": "alpaca",
        "records": 1,
        "state": "ready",
        "created_at": AT,
    }
    service.on("POST", "api/datasets", httpx.Response(201, json=info))
    target = f"api/datasets/{info['id']}/files/my%20visits.json"
    service.on("PUT", target, options.pop("answer", httpx.Response(201, json=file)))
    return connect(service).datasets.create("visits").upload(path, **options)


def test_an_upload_is_streamed_with_its_progress(tmp_path):
    service, seen, content = ScriptedService(), [], b"x" * 600_000
    info = upload(
        tmp_path,
        service,
        content,
        format="alpaca",
        progress=lambda sent, total: seen.append((sent, total)),
    )
    request = service.requests[-1]
    assert service.bodies[-1] == content and info.records == 1
    assert request.headers["content-length"] == "600000"
    assert "transfer-encoding" not in request.headers
    assert request.url.params["format"] == "alpaca"
    assert len(seen) == 3 and seen[-1] == (600_000, 600_000)


def test_an_upload_that_arrived_otherwise_is_an_error(tmp_path):
    with pytest.raises(IntegrityError):
        upload(tmp_path, ScriptedService(), b"x", digest="sha256:" + "1" * 64)


def test_a_wrong_upload_raises_what_the_service_says(tmp_path):
    with pytest.raises(RecordError, match="record 3"):
        upload(tmp_path, ScriptedService(), b"x", answer=problem(RecordError, message="record 3"))
    with pytest.raises(InvalidInputError, match="does not exist"):
        info = dataset()
        service = ScriptedService().on("POST", "api/datasets", info)
        connect(service).datasets.create("visits").upload(tmp_path / "missing")


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
