"""The client: how it connects, what it raises, chats; against a scripted service below httpx."""

import json

import httpx
import pytest

import adaptery
from adaptery.client.connection import path_of
from adaptery.errors import (
    DeadlineError,
    InternalError,
    InvalidInputError,
    NotAuthenticatedError,
    NotFoundError,
    QuotaError,
    UnavailableError,
)
from support.scripted_service import TOKEN, URL, Answer, ScriptedService, connect, problem

# -- connecting -------------------------------------------------------------------------------


def test_connect_reads_what_the_spawner_set(monkeypatch):
    monkeypatch.setenv("ADAPTERY_URL", URL + "/")
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    hub = adaptery.connect()
    assert hub.url == URL + "/" and TOKEN not in repr(hub)


def test_connect_says_what_is_not_set(monkeypatch):
    monkeypatch.delenv("ADAPTERY_URL", raising=False)
    monkeypatch.delenv("JUPYTERHUB_API_TOKEN", raising=False)
    with pytest.raises(InvalidInputError, match="ADAPTERY_URL is not set"):
        adaptery.connect()
    with pytest.raises(NotAuthenticatedError, match="JUPYTERHUB_API_TOKEN is not set"):
        adaptery.connect(URL)
    with pytest.raises(InvalidInputError, match="http"):
        adaptery.connect("hub.test", "t")


def test_the_token_goes_in_the_header_and_never_along_a_redirect():
    login = httpx.Response(302, headers={"location": "http://elsewhere.test/login"})
    service = ScriptedService().on("GET", "api/whoami", login)
    with pytest.raises(NotAuthenticatedError, match="login"):
        connect(service).whoami()
    (request,) = service.requests
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert TOKEN not in str(request.url)


def test_names_in_paths_are_encoded():
    assert path_of("api", "@demo/visits@1", "a b?c") == "api/@demo%2Fvisits@1/a%20b%3Fc"


# -- errors -----------------------------------------------------------------------------------


def test_an_error_of_the_service_is_raised_as_its_class():
    refusal = problem(QuotaError, message="three jobs run", retry_after_seconds=30)
    service = ScriptedService().on("GET", "api/whoami", refusal)
    with pytest.raises(QuotaError, match="three jobs") as caught:
        connect(service).whoami()
    assert caught.value.retry_after_seconds == 30 and caught.value.request_id == "rq_1"


@pytest.mark.parametrize(
    ("answer", "cls"),
    [
        (httpx.Response(503, text="<html>secret page</html>"), UnavailableError),
        (httpx.Response(404, json=["x"]), NotFoundError),
        (httpx.Response(500, json={"message": "hub"}), InternalError),
        (httpx.Response(200, text="<html>"), InternalError),
        (httpx.Response(200, json={"id": 1}), InternalError),
        (httpx.ConnectError("refused"), UnavailableError),
        (httpx.ReadTimeout("slow"), DeadlineError),
    ],
)
def test_what_is_no_answer_of_the_service_is_an_error_too(answer, cls):
    with pytest.raises(cls) as caught:
        connect(ScriptedService().on("GET", "api/whoami", answer)).whoami()
    assert "html" not in str(caught.value)


def test_only_reading_is_repeated_after_a_lost_connection():
    lost = httpx.RemoteProtocolError("gone")
    service = ScriptedService().on("GET", "api/datasets", lost, {"items": [], "has_more": False})
    service.on("POST", "api/datasets", lost)
    hub = connect(service)
    assert hub.datasets.list() == []
    with pytest.raises(UnavailableError):
        hub.datasets.create("visits")
    assert [request.method for request in service.requests] == ["GET", "GET", "POST"]


# -- chat -------------------------------------------------------------------------------------


def chunk(text=None, reason=None, **fields):
    choice = {"index": 0, "delta": {"content": text} if text else {}, "finish_reason": reason}
    body = {"model": "@demo/soap@1", "choices": [choice]} | fields
    return f"data: {json.dumps(body)}\n\n".encode()


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


#: What the client asks before it sends a question.
LOOKED_UP = {"id": "@demo/soap@1", "channel": "open"}


def test_a_streamed_answer_arrives_in_pieces_and_whole():
    last = chunk(choices=[], usage=USAGE)
    answer = Answer([chunk("Hel"), chunk("lo"), chunk(reason="stop"), last, b"data: [DONE]\n\n"])
    service = ScriptedService().on(
        "POST", "v1/chat/completions", httpx.Response(200, stream=answer)
    )
    service.on("GET", "v1/models/soap", LOOKED_UP)
    stream = connect(service).chat("soap", "hi", max_tokens=5)
    assert list(stream) == ["Hel", "lo"]
    assert stream.answer.text == "Hello" and stream.answer.model == "@demo/soap@1"
    assert (stream.answer.finish_reason, stream.answer.usage) == ("stop", USAGE)
    assert answer.closed
    sent = json.loads(service.bodies[-1])
    assert sent["messages"] == [{"role": "user", "content": "hi"}]
    assert sent["stream"] is True and sent["max_tokens"] == 5 and "temperature" not in sent


def test_leaving_a_stream_early_ends_the_request():
    answer = Answer([chunk("Hel"), chunk("lo")])
    service = ScriptedService().on(
        "POST", "v1/chat/completions", httpx.Response(200, stream=answer)
    )
    service.on("GET", "v1/models/soap", LOOKED_UP)
    pieces = iter(connect(service).chat("soap", "hi"))
    next(pieces)
    pieces.close()
    assert answer.closed


@pytest.mark.parametrize(
    ("pieces", "cls"),
    [
        ([chunk("Hel")], UnavailableError),
        (
            [chunk("Hel"), b'data: {"error": {"code": "engine_busy", "message": "m"}}\n\n'],
            UnavailableError,
        ),
    ],
)
def test_an_answer_that_breaks_off_is_an_error_and_no_answer(pieces, cls):
    response = httpx.Response(200, stream=Answer(pieces))
    stream = connect(ScriptedService().on("POST", "v1/chat/completions", response)).chat("", "hi")
    with pytest.raises(cls):
        stream.text()
    assert stream.answer is None


def test_a_whole_answer_and_its_errors():
    message = {"role": "assistant", "content": "Hello"}
    body = {
        "model": "tiny",
        "choices": [{"index": 0, "message": message, "finish_reason": "length"}],
        "usage": USAGE,
    }
    refusal = httpx.Response(
        404, json=NotFoundError().to_openai(), headers={"x-request-id": "rq_9"}
    )
    service = ScriptedService().on("POST", "v1/chat/completions", body)
    service.on("GET", "v1/models/@other/soap", refusal)
    hub = connect(service)
    answer = hub.chat("", [{"role": "user", "content": "hi"}], stream=False)
    assert (answer.text, answer.finish_reason, answer.model) == ("Hello", "length", "tiny")
    with pytest.raises(NotFoundError) as caught:
        hub.chat("@other/soap", "hi", stream=False)
    assert caught.value.request_id == "rq_9"
    assert service.requests[-1].method == "GET", "what cannot be answered is not sent"
