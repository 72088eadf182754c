"""The kernel side of the view contract, with a view that only writes down what it is told.

The service is a scripted one on a real socket, because how a request ends is a matter of sockets.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adaptery.errors import FieldProblem, NoAgentError, NotOfferedError, UnavailableError
from adaptery_widgets import _kernel_host
from adaptery_widgets._kernel_host import RUNNING_LIMIT, ViewWidget, view_module
from support.scripted_http import ScriptedHttp, Stream, scripted_http
from support.waiting import eventually_sync

JOB = {"job": "jb_1"}
EVENTS = "GET api/jobs/jb_1/events"
CHAT = "POST v1/chat/completions"


class HeardWidget(ViewWidget):
    """Keeps what it would have sent to the browser."""

    view = "chat"

    def __init__(self, service: ScriptedHttp) -> None:
        super().__init__(service.connect())
        self.heard: list[dict[str, Any]] = []

    def send(self, content: Any, buffers: Any = None) -> None:
        self.heard.append(content)

    def tell(self, content: Any) -> None:
        """Act as the view."""
        self._handle_custom_msg(content, [])

    def ask(self, name: str, verb: str, args: Mapping[str, Any] | None = None) -> None:
        self.tell({"id": name, "kind": "ask", "verb": verb, "args": args})

    def of(self, name: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["id"] == name]

    def replies(self, name: str) -> list[dict[str, Any]]:
        """Wait for the end of one exchange and return its replies without their id."""

        def ended() -> list[dict[str, Any]]:
            own = self.of(name)
            return own if own and own[-1]["kind"] != "event" else []

        return [{k: v for k, v in m.items() if k != "id"} for m in eventually_sync(ended)]


class AnsweringWidget(HeardWidget):
    """Answers with what a test gives it instead of asking the service."""

    def __init__(self, service: ScriptedHttp, answer: Any) -> None:
        super().__init__(service)
        self.answer = answer

    def start(self) -> Mapping[str, Any]:
        return self.answer()


@pytest.fixture
def service() -> Iterator[ScriptedHttp]:
    with scripted_http() as running:
        yield running


def values(replies: list[dict[str, Any]]) -> list[Any]:
    assert replies[-1] == {"kind": "end"}
    return [reply["value"] for reply in replies[:-1]]


def test_each_value_is_an_event_of_its_own_exchange(service: ScriptedHttp) -> None:
    service.script = {"GET api/whoami": {"name": "demo"}, EVENTS: Stream({"seq": 1}, {"seq": 2})}
    widget = HeardWidget(service)
    widget.ask("a", "jobs.events", JOB)
    widget.ask("b", "whoami")
    assert values(widget.replies("a")) == [{"seq": 1}, {"seq": 2}]
    assert values(widget.replies("b")) == [{"name": "demo"}]


def test_an_error_arrives_with_all_its_words(service: ScriptedHttp) -> None:
    problem = FieldProblem("epochs", "is too large.", "Use at most 10.")
    error = NoAgentError("Nobody is there.", hint="wait", errors=[problem])
    service.script = {"POST api/jobs": error.to_problem("r1")}
    widget = HeardWidget(service)
    widget.ask("a", "jobs.submit", {"name": "soap"})
    value = {
        "code": "no_agent",
        "message": "Nobody is there.",
        "hint": "wait",
        "errors": [{"where": "epochs", "reason": "is too large.", "remedy": "Use at most 10."}],
    }
    assert widget.replies("a") == [{"kind": "error", "value": value}]


def test_the_text_of_an_unexpected_error_stays_inside(
    service: ScriptedHttp, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> Mapping[str, Any]:
        raise KeyError("canary-5d1e")

    widget = AnsweringWidget(service, fail)
    with caplog.at_level(logging.DEBUG):
        widget.ask("a", "view.start")
        (reply,) = widget.replies("a")
    assert reply["value"]["code"] == "internal"
    assert "canary-5d1e" not in json.dumps(reply) + caplog.text
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("verb", ["nothing", "files.put", "__class__", "view.here"])
def test_what_is_no_verb_is_an_error(service: ScriptedHttp, verb: str) -> None:
    widget = HeardWidget(service)
    widget.ask("a", verb)
    assert widget.replies("a")[0]["value"]["code"] == "not_offered"
    assert service.asked == []


def test_a_view_opens_another_one_of_a_fixed_list(service: ScriptedHttp) -> None:
    widget = HeardWidget(service)
    widget.ask("a", "view.module", {"view": "chat"})
    assert values(widget.replies("a")) == [view_module("chat").read_text(encoding="utf-8")]
    for number, name in enumerate(["../client/hub.py", "hosts", "", None, ["chat"], "verbs.json"]):
        widget.ask(str(number), "view.module", {"view": name})
        assert widget.replies(str(number))[0]["value"]["code"] == "not_offered"


@pytest.mark.parametrize(
    "message",
    [
        None,
        7,
        "canary-8c2f",
        [],
        {},
        {"kind": "ask"},
        {"id": "a", "kind": "ask"},
        {"id": "a", "kind": "ask", "verb": 1},
        {"id": 1, "kind": "ask", "verb": "whoami"},
        {"id": "a", "kind": "ask", "verb": "whoami", "args": ["canary-8c2f"]},
        {"id": "a" * 1000, "kind": "ask", "verb": "whoami"},
        {"id": {}, "kind": "cancel"},
        {"id": "a", "kind": "canary-8c2f", "verb": "whoami"},
    ],
)
def test_a_message_in_another_form_is_ignored(
    service: ScriptedHttp, message: Any, caplog: pytest.LogCaptureFixture
) -> None:
    widget = HeardWidget(service)
    with caplog.at_level(logging.DEBUG):
        widget.tell(message)
    assert "was not understood" in caplog.text and "canary-8c2f" not in caplog.text
    assert widget.heard == [] and service.asked == []


@pytest.mark.parametrize("mute", [False, True], ids=["after the headers", "before the headers"])
@pytest.mark.parametrize(("verb", "path"), [("jobs.events", EVENTS), ("chat", CHAT)])
def test_a_cancelled_stream_ends_while_the_service_is_silent(
    service: ScriptedHttp, mute: bool, verb: str, path: str
) -> None:
    service.script = {path: Stream({"seq": 1}, endless=True)}
    service.mute = {path} if mute else set()
    widget = HeardWidget(service)
    widget.ask("a", verb, JOB)
    eventually_sync(lambda: service.asked if mute else widget.heard)
    widget.tell({"id": "unknown", "kind": "cancel"})
    widget.tell({"id": "a", "kind": "cancel"})
    assert service.wait_until_left()
    eventually_sync(lambda: not widget._running)
    assert {message["kind"] for message in widget.heard} <= {"event"}


def test_closing_the_widget_ends_its_streams(service: ScriptedHttp) -> None:
    service.script = {EVENTS: Stream(endless=True)}
    widget = HeardWidget(service)
    for name in ("a", "b"):
        widget.ask(name, "jobs.events", JOB)
    eventually_sync(lambda: len(service.asked) == 2)
    widget.close()
    assert service.wait_until_left() and service.wait_until_left()


def test_a_flood_of_questions_is_refused_in_words_and_makes_room(service: ScriptedHttp) -> None:
    service.script = {EVENTS: Stream(endless=True)}
    widget = HeardWidget(service)
    before = threading.active_count()
    for number in range(RUNNING_LIMIT + 100):
        widget.ask(str(number), "jobs.events", JOB)
    refused = [widget.replies(str(number)) for number in range(RUNNING_LIMIT, RUNNING_LIMIT + 100)]
    assert {reply[0]["value"]["code"] for reply in refused} == {"unavailable"}
    # The service's threads are in this process too, one for each connection.
    assert threading.active_count() - before <= 2 * RUNNING_LIMIT
    assert widget.replies("0")[0]["value"]["code"] == "unavailable"
    eventually_sync(lambda: len(widget._running) < RUNNING_LIMIT)
    widget.ask("again", "view.start")
    assert values(widget.replies("again")) == [{}]
    widget.close()
    eventually_sync(lambda: not widget._running)


def test_nothing_that_travels_becomes_state(service: ScriptedHttp) -> None:
    service.script = {CHAT: lambda body: Stream({"said": body["messages"]}, "[DONE]")}
    widget = HeardWidget(service)
    before = widget.get_state()
    widget.ask("a", "chat", {"messages": "canary-77aa"})
    assert values(widget.replies("a")) == [{"said": "canary-77aa"}]
    assert widget.get_state() == before
    assert "canary-77aa" not in repr(before)


def test_a_view_that_was_not_built_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_kernel_host, "VIEWS", ("unbuilt",))
    with pytest.raises(UnavailableError, match="'unbuilt' is not built"):
        view_module("unbuilt")
    with pytest.raises(NotOfferedError):
        view_module("chat")
