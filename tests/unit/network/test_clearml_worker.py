"""A worker of ClearML: its settings, its line to the service, what it shows to ClearML's users."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from adaptery.errors import (
    DeadlineError,
    InvalidInputError,
    LeaseLostError,
    NotAuthenticatedError,
    RefusedError,
    UnavailableError,
)
from adaptery.schemas.events import ErrorEvent, LogEvent, MetricsEvent, SummaryEvent
from adaptery.schemas.worker import Hold, pack, unpack
from adaptery.signing import SigningKey
from adaptery.times import from_text
from adaptery_network.clearml.http_line import HttpLine
from adaptery_network.clearml.settings import VARIABLE, WorkerSettings, read_settings
from adaptery_network.clearml.sink import ClearmlSink
from adaptery_network.clearml.ticket_use import train

AT = from_text("2026-01-02T03:04:05.000Z")
HOLD = Hold(
    attempt="at_01hzzzzzzzzzzzzzzzzzzzzzzz", fencing_token=1, lease_seconds=60, session="one"
)


def test_messages_are_a_header_and_bytes() -> None:
    assert unpack(pack({"op": "write"}, b"\x00blob")) == ({"op": "write"}, b"\x00blob")
    for bad in (b"", b"\x00\x00\x00\xffx", b"\x00\x00\x00\x02[]", b"\xff\xff\xff\xff{}"):
        with pytest.raises(InvalidInputError):
            unpack(bad)


def test_settings_come_from_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "worker.json"
    path.write_text(
        '{"service_url": "https://hub/services/adaptery/", "service_key": "ed25519:x",'
        ' "worker_key": "awk_secret"}'
    )
    path.chmod(0o640)
    for environment in ({}, {VARIABLE: str(tmp_path / "none")}, {VARIABLE: str(path)}):
        with pytest.raises(InvalidInputError):
            read_settings(environment)
    path.chmod(0o600)
    settings = read_settings({VARIABLE: str(path)})
    assert settings.worker_key == "awk_secret" and "awk_secret" not in repr(settings)
    path.write_text('{"service_url": "file:///etc"}')
    with pytest.raises(InvalidInputError):
        read_settings({VARIABLE: str(path)})


async def test_the_line_renews_its_token_and_tells_away_from_over() -> None:
    seen: list[str] = []
    answers = [
        httpx.Response(200, content=pack({"acked_seq": 1, "session": "two"})),
        httpx.Response(200, content=pack({"ok": True}, b"piece")),
        httpx.Response(503, text="<html>"),
        httpx.Response(200, text="<html>It works!</html>"),
        _problem(NotAuthenticatedError()),
        _problem(LeaseLostError()),
        httpx.ReadTimeout("late"),
        httpx.ConnectError("gone"),
    ]

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["Authorization"])
        found = answers.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    transport = httpx.MockTransport(answer)
    async with httpx.AsyncClient(base_url="https://hub/a/", transport=transport) as client:
        line = HttpLine(client, HOLD)
        assert await line.request("report", {"op": "report"}) == ({"acked_seq": 1}, b"")
        assert await line.request("bulk", {"op": "read"}) == ({"ok": True}, b"piece")
        assert seen == ["Bearer one", "Bearer two"]
        wanted = (UnavailableError, UnavailableError, LeaseLostError, LeaseLostError)
        for error in (*wanted, DeadlineError, UnavailableError):
            with pytest.raises(error):
                await line.request("report", {"op": "report"})
    assert not answers


def _problem(error: NotAuthenticatedError | LeaseLostError) -> httpx.Response:
    headers = {"Content-Type": "application/problem+json"}
    return httpx.Response(error.status, json=error.to_problem("rq_1"), headers=headers)


class Charts:
    def __init__(self) -> None:
        self.points: list[tuple[str, str, float, int]] = []
        self.values: dict[str, float] = {}

    def report_scalar(self, title: str, series: str, value: float, iteration: int) -> None:
        self.points.append((title, series, value, iteration))

    def report_single_value(self, name: str, value: float) -> None:
        self.values[name] = value


def test_clearml_is_shown_numbers_and_no_words() -> None:
    charts = Charts()
    sink = ClearmlSink(charts)
    sink(MetricsEvent(seq=1, at=AT, step=5, epoch=0.5, step_epoch=0, loss=1.5, eval_loss=2.0))
    sink(LogEvent(seq=2, at=AT, message="words"))
    summary = {"train_runtime": 2, "train_samples_per_second": 3, "train_steps_per_second": 1}
    sink(SummaryEvent(seq=3, at=AT, epoch=1, total_flos=7, train_loss=1.25, **summary))
    assert charts.points == [
        ("train", "epoch", 0.5, 5),
        ("train", "step_epoch", 0.0, 5),
        ("train", "loss", 1.5, 5),
        ("eval", "eval_loss", 2.0, 5),
    ]
    assert charts.values["total_flos"] == 7 and not sink.failed
    sink(ErrorEvent(seq=4, at=AT, code="diverged", reason="words", remedy="words"))
    assert sink.failed and "words" not in str(charts.__dict__)


async def test_a_ticket_of_somebody_else_is_not_even_used(tmp_path: Path) -> None:
    settings = WorkerSettings(
        service_url="http://127.0.0.1:9/",
        service_key=SigningKey.generate().public_text,
        worker_key="awk_secret",
        work_folder=str(tmp_path),
    )
    with pytest.raises(RefusedError):
        await train("no.ticket", settings, ClearmlSink(Charts()))
    assert list(tmp_path.iterdir()) == []
