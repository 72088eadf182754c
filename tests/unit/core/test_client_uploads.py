"""Uploads of the client, against a scripted service below httpx."""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from adaptery.client.file_parts import PAUSES_SECONDS, send_file
from adaptery.errors import (
    ConflictError,
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RecordError,
    UnavailableError,
)
from adaptery.ids import new_id
from support.scripted_service import (
    AT,
    ScriptedService,
    connect,
    dataset,
    operation,
    problem,
)

NAME = "my visits.json"


def told(content: bytes, **changes: object) -> dict[str, Any]:
    """Return a file as the service tells of it."""
    return {
        "id": new_id("fi"),
        "dataset": new_id("ds"),
        "name": NAME,
        "digest": "sha256:" + hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "format": "alpaca",
        "records": 1,
        "state": "ready",
        "created_at": AT,
    } | changes


class ReceivingService(httpx.BaseTransport):
    """Receives one file as the service does, and loses connections when it is told to."""

    def __init__(self, total: int) -> None:
        self.content = bytearray()
        self.total = total
        self.breaks: list[int] = []  # after so many bytes of a request
        self.errors: list[dict[str, Any]] = []  # that the next requests are answered with
        self.deaf = False
        self.ranges: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            if not self.content:
                return httpx.Response(404, json=NotFoundError().to_problem("rq_1"))
            return httpx.Response(200, json=self.file())
        if self.deaf:
            raise httpx.ConnectError("nobody is there")
        if self.errors:
            return httpx.Response(409, json=self.errors.pop(0))
        body = request.read()
        span = request.headers.get("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
        self.ranges.append(span)
        first = int(span.split()[1].split("-")[0])
        assert first in (0, len(self.content))
        del self.content[first:]
        if self.breaks:
            self.content += body[: self.breaks.pop(0)]
            raise httpx.ReadError("connection lost")
        self.content += body
        return httpx.Response(201, json=self.file())

    def file(self) -> dict[str, Any]:
        if len(self.content) < self.total:
            return told(bytes(self.content), state="receiving", digest=None)
        return told(bytes(self.content), state="received")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / NAME
    path.write_bytes(bytes(range(250)) * 400)  # 100,000 bytes
    return path


def send(service: ReceivingService, source: Path) -> tuple[Any, list[float], list[int]]:
    """Send a file in parts of 40,000 bytes; return the answer, the pauses and the progress."""
    pauses: list[float] = []
    seen: list[int] = []
    info = send_file(
        connect(service)._connection,  # type: ignore[arg-type]
        "api/datasets/ds/files/x",
        source,
        {"import": "later"},
        lambda sent, total: seen.append(sent),
        part_bytes=40_000,
        sleep=pauses.append,
    )
    return info, pauses, seen


def test_a_file_is_sent_in_parts_with_its_progress(source: Path) -> None:
    service = ReceivingService(100_000)
    info, pauses, seen = send(service, source)
    assert service.content == source.read_bytes() and info.state == "received"
    assert service.ranges == [
        "bytes 0-39999/100000",
        "bytes 40000-79999/100000",
        "bytes 80000-99999/100000",
    ]
    assert not pauses and seen[-1] == 100_000


@pytest.mark.parametrize("came", [0, 1, 25_000, 40_000])
def test_after_a_lost_connection_only_the_rest_is_sent(source: Path, came: int) -> None:
    service = ReceivingService(100_000)
    service.breaks = [came]
    send(service, source)
    assert service.content == source.read_bytes()
    assert service.ranges[1].startswith(f"bytes {came}-")


def test_a_lost_answer_is_not_taken_for_a_lost_file(source: Path) -> None:
    service = ReceivingService(100_000)
    send(service, source)
    service.breaks = [100_000]
    service.content.clear()
    info = send_file(connect(service)._connection, "x", source, {})  # type: ignore[arg-type]
    assert info.state == "received" and len(service.ranges) == 4


def test_who_is_never_there_is_given_up(source: Path) -> None:
    service = ReceivingService(100_000)
    service.deaf = True
    pauses: list[float] = []
    with pytest.raises(UnavailableError):
        send_file(
            connect(service)._connection,  # type: ignore[arg-type]
            "x",
            source,
            {},
            sleep=pauses.append,
        )
    assert tuple(pauses) == PAUSES_SECONDS


def test_a_service_that_has_not_noticed_the_break_is_asked_again(source: Path) -> None:
    service = ReceivingService(100_000)
    busy = ConflictError("Another request is uploading this file.", retry_after_seconds=5)
    service.errors = [busy.to_problem("rq_1")]
    _, pauses, _ = send(service, source)
    assert pauses == [5]
    service.errors = [ConflictError("A file of this name is there.").to_problem("rq_1")]
    with pytest.raises(ConflictError):
        send(service, source)


def upload(tmp_path: Path, service: ScriptedService, content: bytes, **options: Any) -> Any:
    path = tmp_path / NAME
    path.write_bytes(content)
    info = dataset()
    received = told(content, state="received", digest=options.pop("digest", None), id="fi_1")
    service.on("POST", "api/datasets", httpx.Response(201, json=info))
    files = f"api/datasets/{info['id']}/files"
    answer = options.pop("answer", httpx.Response(201, json=received))
    service.on("PUT", f"{files}/my%20visits.json", answer)
    ended = options.pop("ended", operation("completed", result={"file": told(content)}))
    service.on("POST", f"{files}/fi_1/import", httpx.Response(202, json=ended))
    return connect(service).datasets.create("visits").upload(path, **options)


def test_a_small_upload_is_one_request_and_then_imported(tmp_path: Path) -> None:
    service, seen, content = ScriptedService(), [], b"x" * 600_000
    info = upload(
        tmp_path,
        service,
        content,
        format="alpaca",
        bad_records="skip",
        progress=lambda sent, total: seen.append((sent, total)),
    )
    request = service.requests[-2]
    assert service.bodies[-2] == content and (info.records, info.state) == (1, "ready")
    assert request.headers["content-length"] == "600000"
    assert "transfer-encoding" not in request.headers and "content-range" not in request.headers
    assert request.url.params["import"] == "later"
    assert service.bodies[-1] == b'{"format":"alpaca","bad_records":"skip"}'
    assert len(seen) == 3 and seen[-1] == (600_000, 600_000)


def test_a_file_for_later_is_only_sent(tmp_path: Path) -> None:
    service = ScriptedService()
    assert upload(tmp_path, service, b"x", later=True).state == "received"
    assert len(service.requests) == 2


def test_an_upload_that_arrived_otherwise_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        upload(tmp_path, ScriptedService(), b"x", digest="sha256:" + "1" * 64)


def test_a_wrong_upload_raises_what_the_service_says(tmp_path: Path) -> None:
    refused = RecordError("record 3").to_problem("rq_1")
    with pytest.raises(RecordError, match="record 3"):
        upload(tmp_path, ScriptedService(), b"x", ended=operation("failed", error=refused))
    with pytest.raises(RecordError, match="record 3"):
        upload(tmp_path, ScriptedService(), b"x", answer=problem(RecordError, message="record 3"))
    service = ScriptedService().on("POST", "api/datasets", dataset())
    with pytest.raises(InvalidInputError, match="does not exist"):
        connect(service).datasets.create("visits").upload(tmp_path / "missing")


def test_a_folder_is_sent_as_an_archive_of_its_files(tmp_path: Path) -> None:
    folder = tmp_path / "clinic"
    (folder / "more").mkdir(parents=True)
    (folder / "dataset_info.json").write_text("{}")
    (folder / "more" / "a.json").write_text("[]")
    (folder / ".hidden").write_text("no")
    (folder / "link.json").symlink_to(folder / "dataset_info.json")
    packed: list[bytes] = []
    for _ in range(2):
        info = dataset()
        service = ScriptedService().on("POST", "api/datasets", httpx.Response(201, json=info))
        path = f"api/datasets/{info['id']}/files/clinic.zip"
        service.on("PUT", path, httpx.Response(201, json=told(b"", digest=None)))
        connect(service).datasets.create("visits").upload(folder)
        packed.append(service.bodies[-1])
    assert packed[0] == packed[1]
    (tmp_path / "sent.zip").write_bytes(packed[0])
    with zipfile.ZipFile(tmp_path / "sent.zip") as archive:
        assert archive.namelist() == ["dataset_info.json", "more/a.json"]


def test_what_comes_back_is_what_was_sent_or_an_error(tmp_path: Path) -> None:
    info, content = dataset(), b"[1, 2]"
    service = ScriptedService().on("POST", "api/datasets", httpx.Response(201, json=info))
    service.on("GET", f"api/datasets/{info['id']}/files/x", told(content, id="fi_1"))
    path = f"api/datasets/{info['id']}/files/fi_1/content"
    service.on("GET", path, httpx.Response(200, content=content), httpx.Response(200, content=b""))
    visits = connect(service).datasets.create("visits")
    target = tmp_path / "back.json"
    assert visits.download_file("x", target).read_bytes() == content
    with pytest.raises(IntegrityError):
        visits.download_file("x", target)
    assert target.read_bytes() == content and len(list(tmp_path.iterdir())) == 1
