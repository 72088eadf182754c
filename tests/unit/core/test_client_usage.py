"""Usage in the client and on the command line."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import httpx
import pytest

import adaptery
from adaptery.client.hub import connect as real_connect
from adaptery.commands import main
from adaptery.errors import InvalidInputError
from adaptery.times import now

SUMS = {"errors": 0, "cancelled": 0, "prompt_tokens": 30, "completion_tokens": 40}
ROWS = [
    {"id": "a", "begins_at": "2026-01-01T00:00:00.000Z", "key": "=1+1", "requests": 1, **SUMS},
    {"id": "b", "begins_at": "2026-01-02T00:00:00.000Z", "key_id": "ak_2", "requests": 22, **SUMS},
]
DONE = {
    "id": "au_1",
    "created_at": "2026-01-01T00:00:00.000Z",
    "actor": "@demo",
    "actor_id": "tn_1",
    "action": "infer",
    "thing_id": "ad_1",
    "details": {"job": "jb_1"},
    "request_id": "rq_1",
    "writer": "service",
    "seq": 1,
    "prev": "sha256:0",
    "row_hash": "sha256:1",
}


@pytest.fixture
def sent() -> list[httpx.Request]:
    return []


@pytest.fixture
def connect(sent: list[httpx.Request]) -> Callable[[], adaptery.Hub]:
    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if request.url.path.endswith("audit"):
            return httpx.Response(200, json={"items": [DONE] * 3, "has_more": True})
        first = "after" not in request.url.params
        return httpx.Response(200, json={"items": ROWS[not first :][:1], "has_more": first})

    transport = httpx.MockTransport(answer)
    return lambda: real_connect("http://hub.test/adaptery", "token", transport=transport)


@pytest.fixture
def hub(connect: Callable[[], adaptery.Hub]) -> adaptery.Hub:
    return connect()


def test_rows_of_all_pages(hub: adaptery.Hub, sent: list[httpx.Request]) -> None:
    found = hub.usage(["day", "key"], days=7, of="everyone", adapter="ad_1", key="ak_1")
    assert [row.requests for row in found] == [1, 22]
    assert sent[0].url.params["by"] == "day,key"
    assert sent[0].url.params["of"] == "everyone"
    assert sent[0].url.params["from"] == (now() - timedelta(days=6)).date().isoformat()
    assert "to" not in sent[0].url.params
    assert (sent[0].url.params["adapter"], sent[0].url.params["key"]) == ("ad_1", "ak_1")
    assert sent[1].url.params["after"] == "a"


def test_days_and_moments(hub: adaptery.Hub, sent: list[httpx.Request]) -> None:
    hub.usage(since=date(2026, 1, 1), until=datetime(2026, 1, 2, 3, tzinfo=UTC))
    assert sent[0].url.params["from"] == "2026-01-01"
    assert sent[0].url.params["to"] == "2026-01-02T03:00:00.000Z"
    with pytest.raises(InvalidInputError):
        hub.usage(days=0)


def test_a_table_in_a_notebook(hub: adaptery.Hub) -> None:
    html = hub.usage("day,key")._repr_html_()
    assert "Day" in html and "Key" in html and "Adapter" not in html
    assert "2026-01-02" in html and "ak_2" in html and "22" in html


def test_csv(hub: adaptery.Hub, tmp_path: Path) -> None:
    text = hub.usage("day,key").to_csv(tmp_path / "usage.csv")
    found = list(csv.DictReader(io.StringIO(text)))
    assert list(found[0])[:4] == ["begins_at", "key", "key_id", "requests"]
    assert [row["begins_at"][:10] for row in found] == ["2026-01-01", "2026-01-02"]
    assert [(row["key"], row["key_id"]) for row in found] == [("'=1+1", ""), ("", "ak_2")]
    assert (tmp_path / "usage.csv").read_bytes().decode() == text


def test_the_audit_is_read_up_to_a_limit(hub: adaptery.Hub, sent: list[httpx.Request]) -> None:
    found = hub.audit(limit=5, actor="@demo", action="infer", since="2026-01-01")
    assert len(found) == 5 and len(sent) == 2
    assert sent[0].url.params["actor"] == "@demo"
    assert sent[0].url.params["from"] == "2026-01-01"
    assert "job = jb_1" in found._repr_html_()


@pytest.fixture
def run(connect: Callable[[], adaptery.Hub], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setattr("adaptery.client.connect", connect)
    return lambda *arguments: main(["usage", *arguments])


def test_on_the_command_line(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str], sent: list[httpx.Request]
) -> None:
    assert run("--by", "day,key", "--days", "3") == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        "2026-01-01  =1+1         1       0          0             30                 40",
        "2026-01-02  ak_2        22       0          0             30                 40",
    ]
    assert run("--csv", "--everyone") == 0
    assert capsys.readouterr().out.startswith("begins_at,requests,errors,")
    assert sent[-1].url.params["of"] == "everyone"
    assert run("--adapters") == 0
    assert sent[-1].url.params["of"] == "adapters"
