"""The kernel side of the view contract, with a view that only writes down what it is told."""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from adaptery.errors import NoAgentError, UnavailableError
from adaptery_widgets._kernel_host import Verb, ViewWidget, view_module
from support.waiting import eventually_sync


class HeardWidget(ViewWidget):
    """Keeps what it would have sent to the browser."""

    def __init__(self, verbs: Mapping[str, Verb]) -> None:
        super().__init__("chat", verbs)
        self.heard: list[dict[str, Any]] = []

    def send(self, content: Any, buffers: Any = None) -> None:
        self.heard.append(content)

    def tell(self, **content: Any) -> None:
        """Act as the view."""
        self._handle_custom_msg(content, [])

    def replies(self, ask: str) -> list[dict[str, Any]]:
        """Wait for the end of one exchange and return its replies without their id."""

        def ended() -> list[dict[str, Any]]:
            own = [message for message in self.heard if message["id"] == ask]
            return own if own and own[-1]["kind"] != "event" else []

        return [{k: v for k, v in m.items() if k != "id"} for m in eventually_sync(ended)]


def count(args: Mapping[str, Any]) -> Iterator[int]:
    yield from range(int(args["to"]))


def test_each_value_is_an_event_of_its_own_exchange() -> None:
    widget = HeardWidget({"count": count})
    widget.tell(id="a", kind="ask", verb="count", args={"to": 2})
    widget.tell(id="b", kind="ask", verb="count", args={"to": 0})
    events = [{"kind": "event", "value": 0}, {"kind": "event", "value": 1}]
    assert widget.replies("a") == [*events, {"kind": "end"}]
    assert widget.replies("b") == [{"kind": "end"}]


def test_an_error_arrives_in_its_own_words() -> None:
    def refuse(_args: Mapping[str, Any]) -> Iterator[None]:
        raise NoAgentError("Nobody is there.", hint="wait")
        yield

    widget = HeardWidget({"refuse": refuse})
    widget.tell(id="a", kind="ask", verb="refuse")
    value = {"code": "no_agent", "message": "Nobody is there.", "hint": "wait"}
    assert widget.replies("a") == [{"kind": "error", "value": value}]


def test_the_text_of_an_unexpected_error_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    def fail(args: Mapping[str, Any]) -> Iterator[None]:
        raise KeyError(args["prompt"])
        yield

    widget = HeardWidget({"fail": fail})
    with caplog.at_level(logging.DEBUG):
        widget.tell(id="a", kind="ask", verb="fail", args={"prompt": "canary-5d1e"})
        (reply,) = widget.replies("a")
    assert reply["value"]["code"] == "internal"
    assert "canary-5d1e" not in json.dumps(reply) + caplog.text
    assert "KeyError" in caplog.text


def test_an_unknown_verb_is_an_error() -> None:
    widget = HeardWidget({})
    widget.tell(id="a", kind="ask", verb="nothing")
    assert widget.replies("a")[0]["value"]["code"] == "unavailable"


def test_cancelling_closes_what_answers() -> None:
    closed, going = threading.Event(), threading.Event()

    def endless(_args: Mapping[str, Any]) -> Iterator[str]:
        try:
            while True:
                yield "word"
                going.wait(10)
        finally:
            closed.set()

    widget = HeardWidget({"endless": endless})
    widget.tell(id="a", kind="ask", verb="endless")
    eventually_sync(lambda: widget.heard)
    widget.tell(id="a", kind="cancel")
    widget.tell(id="unknown", kind="cancel")
    going.set()
    assert closed.wait(10)
    assert {message["kind"] for message in widget.heard} == {"event"}


def test_nothing_that_travels_becomes_state() -> None:
    def echo(args: Mapping[str, Any]) -> Iterator[Any]:
        yield args["prompt"]

    widget = HeardWidget({"echo": echo})
    before = widget.get_state()
    widget.tell(id="a", kind="ask", verb="echo", args={"prompt": "canary-77aa"})
    assert widget.replies("a")[0]["value"] == "canary-77aa"
    assert widget.get_state() == before
    assert "canary-77aa" not in repr(before)


def test_a_view_that_was_not_built_is_named() -> None:
    with pytest.raises(UnavailableError, match="'nonesuch' is not built"):
        view_module("nonesuch")
