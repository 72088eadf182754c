"""What the client shows in notebooks and terminals: tables, cards and progress bars."""

import io
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from html.parser import HTMLParser

import pytest

import adaptery
from adaptery.client.datasets import Dataset
from adaptery.client.jobs import Job
from adaptery.client.listing import ROWS_LIMIT, Listing
from adaptery.client.notebook import Display
from adaptery.client.progress import (
    CellScreen,
    ProgressBar,
    TerminalScreen,
    followed,
    shown,
    wanted,
)
from adaptery.client.versions import Version
from adaptery.client.words import size_of, time_left, written
from adaptery.schemas import datasets, jobs
from adaptery.schemas.adapters import Adapter
from adaptery.times import now

URL = "https://hub.example.edu/services/adaptery/"
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'>&lt;b&gt; $\\href{x}{y}$"
BEGUN = now()
TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "bdi", "p", "div", "progress"}


class Read(HTMLParser):
    """The tags, attributes and text of a piece of HTML; tags that stay open are an error."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[tuple[str, str | None]] = set()
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes |= set(attrs)
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def dataset(**changes: object) -> Dataset:
    fields = {
        "id": "ds_1",
        "name": "visits",
        "full_name": "@demo/visits",
        "tenant": "demo",
        "sensitivity": "internal",
        "description": "",
        "records": 1234,
        "right": "manage",
        "created_at": now(),
        "updated_at": now(),
    }
    return Dataset(hub()._connection, datasets.Dataset.model_validate(fields | changes))


def version(**changes: object) -> Version:
    fields = {
        "id": "dv_1",
        "dataset": "ds_1",
        "number": 1,
        "name": "@demo/visits@1",
        "content_digest": None,
        "manifest_digest": None,
        "records": 1,
        "duplicates_dropped": 0,
        "state": "published",
        "created_at": now(),
    }
    return Version(hub()._connection, datasets.Version.model_validate(fields | changes))


def job(**changes: object) -> Job:
    fields = {
        "id": "jb_1",
        "name": "soap",
        "tenant": "demo",
        "task": "training-v0",
        "base_model": "tiny",
        "dataset": "dv_1",
        "state": "training",
        "reason": None,
        "position": None,
        "cancel_requested": False,
        "queue": "training",
        "progress": 0.25,
        "attempts": 1,
        "adapter": None,
        "adapter_id": None,
        "created_at": now(),
        "queued_at": None,
        "started_at": None,
        "finished_at": None,
        "summary": None,
        "options": {"epochs": 1},
    }
    return Job(hub()._connection, jobs.Job.model_validate(fields | changes))


def hub() -> adaptery.Hub:
    return adaptery.connect(URL, "secret-token")


def html_of(thing: object) -> str:
    return thing._repr_html_()  # type: ignore[attr-defined]


# -- tables and cards -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "thing",
    [
        dataset(description=ATTACK, full_name=ATTACK),
        version(name=ATTACK, state=ATTACK),
        job(name=ATTACK, reason=ATTACK, options={ATTACK: ATTACK}),
        Listing([ATTACK], ATTACK, [(ATTACK, str), (ATTACK, str)], ATTACK),
        Listing([], ATTACK, [], ATTACK),
    ],
    ids=["dataset", "version", "job", "list", "empty list"],
)
def test_whatever_comes_from_the_service_is_text(thing: object) -> None:
    read = Read(html_of(thing))
    assert set(read.tags) <= TAGS
    assert {name for name, _ in read.attributes} <= {"scope", "style", "class"}
    assert ATTACK in "".join(read.texts)


def test_a_table_is_one_for_screen_readers_too() -> None:
    columns = [("Name", lambda it: it[0]), ("Records", lambda it: it[1])]
    read = Read(html_of(Listing([("a", 1200), ("b", None)], "dataset", columns)))
    assert read.texts == ["2 datasets", "Name", "Records", "a", "1,200", "b", "-"]
    assert {("scope", "col"), ("scope", "row")} <= read.attributes
    assert read.tags.count("caption") == 1


def test_a_list_stays_a_list_and_shows_its_first_rows_only() -> None:
    listing = Listing(range(1000), "thing", [("Number", lambda it: it)])
    assert listing == list(range(1000)) and listing[3] == 3 and isinstance(listing, list)
    html = html_of(listing)
    assert "1,000 things, the first 100 of them" in html
    assert html.count("<tr>") == ROWS_LIMIT + 1


def test_cards_say_what_one_would_ask() -> None:
    assert "1,234" in html_of(dataset()) and "Job soap" in html_of(job(progress=0.25))
    assert "25%" in html_of(job()) and "epochs = 1" in html_of(job())
    assert "failed: no memory" in html_of(job(state="failed", reason="no memory"))


def test_a_connection_shows_its_address_and_no_token() -> None:
    html = html_of(hub())
    assert URL in html and "hub.datasets.list()" in html and "secret-token" not in html


def test_the_lists_of_the_client_have_columns_for_what_they_hold() -> None:
    from adaptery.client import columns

    adapter = Adapter(
        id="ad_1",
        name="soap",
        full_name="@demo/soap@1",
        number=1,
        tenant="demo",
        job="jb_1",
        base_model="tiny",
        weight_digest="",
        content_digests=(),
        rank=8,
        bytes=4_700_000,
        sensitivity="internal",
        right="use",
        created_at=now(),
    )
    shown_of = {
        "dataset": (dataset(), columns.DATASETS),
        "version": (version(), columns.VERSIONS),
        "job": (job(), columns.JOBS),
        "adapter": (adapter, columns.ADAPTERS),
    }
    for noun, (item, wanted_columns) in shown_of.items():
        assert html_of(Listing([item], noun, wanted_columns)).count("<th") > 4
    assert "4.7 MB" in html_of(Listing([adapter], "adapter", columns.ADAPTERS))


def test_words() -> None:
    assert [size_of(n) for n in (0, 999, 1000, 2_500_000, 3e9)] == [
        "0 bytes",
        "999 bytes",
        "1.0 kB",
        "2.5 MB",
        "3.0 GB",
    ]
    assert time_left(0.2) == "about 1 second left"
    assert time_left(119) == "about 2 minutes left"
    assert time_left(75) == "about 75 seconds left"
    assert time_left(3 * 3600) == "about 3 hours left"
    assert written(None) == "-" and written(True) == "yes" and len(written("x" * 999)) == 120


# -- progress bars ----------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class NotedPublisher:
    def __init__(self) -> None:
        self.shown: list[tuple[Mapping[str, str], bool]] = []

    def publish(self, data, *, transient=None, update=False) -> None:  # type: ignore[no-untyped-def]
        assert transient is not None and transient["display_id"]
        self.shown.append((data, update))


class NotedShell:
    """What we use of a kernel's shell."""

    def __init__(self) -> None:
        self.display_pub = NotedPublisher()
        self.user_ns: dict[str, object] = {}


def screen_after(written_text: str) -> list[str]:
    """Return the lines that a terminal shows after this was written to it."""
    lines = []
    for line in written_text.split("\n"):
        visible = ""
        for part in re.split(r"(\r|\x1b\[K)", line):
            if part == "\r":
                cursor = 0
            elif part == "\x1b[K":
                visible = visible[:cursor]
            else:
                cursor = len(part) if visible == "" or part else 0
                visible = part + visible[len(part) :] if part else visible
        lines.append(visible)
    return lines


def event(seq: int, kind: str, **data: object) -> jobs.JobEvent:
    at = BEGUN + timedelta(seconds=2 * seq)
    return jobs.JobEvent(seq=seq, at=at, kind=kind, data=data)


def steps(count: int):  # type: ignore[no-untyped-def]
    yield event(1, "state", state="training")
    yield event(2, "phase", state="training", total_steps=count)
    for step in range(1, count + 1):
        yield event(2 + step, "metrics", step=step, loss=1 / step)


def test_a_bar_in_a_terminal_does_not_mix_with_what_others_print() -> None:
    terminal, clock = Terminal(), Clock()
    bar = ProgressBar("soap", "steps", TerminalScreen(terminal), clock)
    for told in followed(steps(4), bar):
        clock.seconds += 2
        terminal.write(f"event {told.seq}\n")
    lines = screen_after(terminal.getvalue())
    assert lines[:6] == [f"event {seq}" for seq in range(1, 7)]
    assert lines[6].endswith("soap: 4 of 4 steps · 100% · loss 0.250")
    assert lines[7:] == [""]
    assert "soap: 3 of 4 steps · 75% · loss 0.333 · about 2 seconds left" in terminal.getvalue()


def test_where_stderr_is_no_terminal_only_the_end_is_written() -> None:
    stream = io.StringIO()
    bar = ProgressBar("soap\x1b[2J", screen=TerminalScreen(stream))
    for _ in followed(steps(40), bar):
        pass
    assert stream.getvalue() == "soap?[2J: 40 of 40 · 100% · loss 0.025\n"


def test_a_bar_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    ProgressBar("x" * 99, screen=TerminalScreen(terminal)).end()
    assert max(map(len, screen_after(terminal.getvalue()))) == 39


def test_a_bar_in_a_notebook_is_one_output_that_is_seldom_drawn() -> None:
    shell, clock = NotedShell(), Clock()
    bar = ProgressBar("<b>\x1b[2J", screen=CellScreen(Display(shell)), clock=clock)
    for _ in followed(steps(500), bar):
        clock.seconds += 0.01
    shown_there = shell.display_pub.shown
    assert [update for _, update in shown_there] == [False, *[True] * (len(shown_there) - 1)]
    assert len(shown_there) < 40
    read = Read(shown_there[-1][0]["text/html"])
    assert read.tags == ["div", "progress"] and ("value", "1.000") in read.attributes
    # A console shows the plain text in a terminal.
    assert shown_there[-1][0]["text/plain"].startswith("<b>?[2J: 500 of 500")


def test_what_a_service_says_wrongly_breaks_no_bar() -> None:
    told = [event(1, "metrics", step="x", loss="y"), event(2, "phase", total_steps=None)]
    bar = ProgressBar("soap", screen=TerminalScreen(io.StringIO()))
    assert list(followed((e for e in told), bar)) == told


def test_leaving_the_loop_ends_what_is_watched() -> None:
    ended = []

    def endless():  # type: ignore[no-untyped-def]
        try:
            while True:
                yield event(1, "log")
        finally:
            ended.append(True)

    events = followed(endless(), ProgressBar("soap", screen=TerminalScreen(io.StringIO())))
    next(events)
    events.close()
    assert ended == [True]


def test_a_bar_is_shown_if_asked_for_and_in_notebooks(capsys: pytest.CaptureFixture[str]) -> None:
    assert wanted(True) and not wanted(False) and not wanted(None)
    with shown("visits.json", None, "bytes") as report:
        assert report is None
    with shown("visits.json", False, "bytes") as report:
        assert report is None
    with shown("visits.json", print, "bytes") as report:
        assert report is print
    with shown("visits.json", True, "bytes") as report:
        assert report is not None
        report(1500, 3000)
    assert capsys.readouterr().err == "visits.json: 3.0 kB of 3.0 kB · 100%\n"
    with pytest.raises(KeyError), shown("visits.json", True, "bytes") as report:
        assert report is not None
        report(1500, 3000)
        raise KeyError
    assert capsys.readouterr().err == "visits.json: 1.5 kB of 3.0 kB · 50%\n"


def test_importing_the_client_does_not_import_ipython() -> None:
    code = (
        "import adaptery, adaptery.client, adaptery.client.magics, sys\n"
        "adaptery.load_ipython_extension\n"
        "adaptery.connect('http://x/', 't')._repr_html_()\n"
        "print('IPython' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
