"""The client, against a scripted service that answers below httpx."""

import hashlib
import json

import httpx
import pytest

import adaptery
from adaptery.client.connection import path_of
from adaptery.client.event_streams import read_events
from adaptery.client.jobs import RECONNECT_ATTEMPTS, Job
from adaptery.errors import (
    DeadlineError,
    IntegrityError,
    InternalError,
    InvalidInputError,
    JobStateError,
    NotAuthenticatedError,
    NotFoundError,
    QuotaError,
    RecordError,
    UnavailableError,
)
from adaptery.ids import new_id
from adaptery.times import now, to_text

URL = "http://hub.test/services/adaptery"
TOKEN = "secret-token"
AT = to_text(now())


class Answer(httpx.SyncByteStream):
    """A body that arrives in pieces, and may break off."""

    def __init__(self, pieces, broken=False):
        self.pieces, self.broken, self.closed = pieces, broken, False

    def __iter__(self):
        yield from self.pieces
        if self.broken:
            raise httpx.ReadError("connection lost")

    def close(self):
        self.closed = True


class ScriptedService(httpx.BaseTransport):
    """Answers each request by the next entry of the script for its method and path."""

    def __init__(self, **script):
        self.script = {key.replace("__", " "): list(value) for key, value in script.items()}
        self.requests = []
        self.bodies = []

    def on(self, method, path, *answers):
        self.script[f"{method} {path}"] = list(answers)
        return self

    def handle_request(self, request):
        self.requests.append(request)
        self.bodies.append(b"".join(request.stream))
        path = request.url.raw_path.decode().removeprefix("/services/adaptery/")
        answers = self.script[f"{request.method} {path.partition('?')[0]}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)


def connect(service):
    return adaptery.connect(URL, TOKEN, transport=service)


def dataset(**changes):
    return {
        "id": new_id("ds"),
        "name": "visits",
        "full_name": "@demo/visits",
        "tenant": "demo",
        "sensitivity": "internal",
        "description": "",
        "records": 0,
        "right": "manage",
        "created_at": AT,
        "updated_at": AT,
    } | changes


def version(**changes):
    return {
        "id": new_id("dv"),
        "dataset": new_id("ds"),
        "number": 1,
        "name": "@demo/visits@1",
        "content_digest": "sha256:" + "0" * 64,
        "manifest_digest": "sha256:" + "0" * 64,
        "records": 1,
        "duplicates_dropped": 0,
        "state": "published",
        "created_at": AT,
    } | changes


def operation(state, **changes):
    return {
        "id": "op_1",
        "kind": "publish",
        "state": state,
        "progress": 0.0,
        "done": 0,
        "total": None,
        "result": None,
        "error": None,
        "created_at": AT,
    } | changes


JOB_ID = new_id("jb")


def job(state="training", **changes):
    return {
        "id": JOB_ID,
        "name": "soap",
        "tenant": "demo",
        "task": "training-v0",
        "base_model": "tiny",
        "dataset": "@demo/visits@1",
        "state": state,
        "reason": None,
        "position": None,
        "cancel_requested": False,
        "queue": "default",
        "progress": None,
        "attempts": 1,
        "adapter": None,
        "adapter_id": None,
        "created_at": AT,
        "queued_at": AT,
        "started_at": None,
        "finished_at": None,
        "summary": None,
        "options": {},
    } | changes


def problem(cls, status=None, **fields):
    body = cls(**fields).to_problem("rq_1")
    return httpx.Response(status or cls.status, json=body)


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


# -- datasets ---------------------------------------------------------------------------------


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


# -- jobs -------------------------------------------------------------------------------------


def test_jobs_are_asked_for_by_state_and_name():
    service = ScriptedService().on("GET", "api/jobs", {"items": [job()], "has_more": False})
    jobs = connect(service).jobs
    assert [found.id for found in jobs.list(state=("failed", "cancelled"), search="SOAP")] == [
        JOB_ID
    ]
    jobs.list(state="queued")
    jobs.list()
    asked = [dict(request.url.params) for request in service.requests]
    assert asked[0] == {"limit": "100", "state": "failed,cancelled", "search": "SOAP"}
    assert asked[1:] == [{"limit": "100", "state": "queued"}, {"limit": "100"}]


def event(seq, kind="metrics"):
    data = json.dumps({"seq": seq, "at": AT, "kind": kind, "data": {}})
    return f"id: {seq}\nevent: {kind}\ndata: {data}\n\n".encode()


def events(*pieces, broken=False):
    return httpx.Response(200, stream=Answer(pieces, broken))


def watched(service, *states):
    service.on("GET", f"api/jobs/{JOB_ID}", *(job(state) for state in states))
    pauses = []
    connection = connect(service)._connection
    from adaptery.schemas.jobs import Job as JobInfo

    return Job(connection, JobInfo.model_validate(job()), sleep=pauses.append), pauses


def test_submit_sends_options_by_name():
    service = ScriptedService().on("POST", "api/jobs", httpx.Response(201, json=job("created")))
    made = connect(service).jobs.submit("soap", "@demo/visits@1", epochs=2, learning_rate=1e-4)
    assert made.state == "created"
    sent = json.loads(service.bodies[-1])
    assert len(sent.pop("key")) >= 20
    assert sent == {
        "task": "training-v0",
        "name": "soap",
        "dataset": "@demo/visits@1",
        "options": {"epochs": 2, "learning_rate": 1e-4},
    }


def test_a_submission_whose_answer_was_lost_is_sent_again_with_its_key():
    lost, answer = httpx.ReadError("gone"), httpx.Response(201, json=job("created"))
    service = ScriptedService().on("POST", "api/jobs", lost, answer)
    jobs = connect(service).jobs
    jobs.submit("soap", "@demo/visits@1")
    jobs.submit("soap", "@demo/visits@1")
    first, again, other = (json.loads(body)["key"] for body in service.bodies)
    assert first == again != other


def test_what_carries_no_key_is_sent_once():
    service = ScriptedService().on("POST", f"api/jobs/{JOB_ID}/cancel", httpx.ReadError("gone"))
    service.on("GET", f"api/jobs/{JOB_ID}", job())
    running = connect(service).jobs.get(JOB_ID)
    with pytest.raises(UnavailableError):
        running.cancel()
    assert [request.method for request in service.requests] == ["GET", "POST"]


def test_watching_goes_on_where_the_connection_broke():
    service = ScriptedService().on(
        "GET",
        f"api/jobs/{JOB_ID}/events",
        events(event(1), event(2), event(3)[:20], broken=True),
        httpx.ConnectError("restarting"),
        problem(UnavailableError),
        events(event(2), b": comment\n\n", event(3)),
        events(event(4, "state")),
        events(),
    )
    watcher, pauses = watched(service, "training", "completed")
    assert [seen.seq for seen in watcher.watch()] == [1, 2, 3, 4]
    asked = [r.headers.get("last-event-id") for r in service.requests if "events" in str(r.url)]
    assert asked == [None, "2", "2", "2", "3", "4"]
    assert pauses == sorted(pauses[:3]) + pauses[3:]


def test_watching_gives_up_when_the_service_stays_away():
    away = ScriptedService().on("GET", f"api/jobs/{JOB_ID}/events", httpx.ConnectError("gone"))
    watcher, pauses = watched(away, "training")
    with pytest.raises(UnavailableError):
        list(watcher.watch())
    assert len(pauses) == RECONNECT_ATTEMPTS - 1


def test_watching_another_users_job_is_not_repeated():
    hidden = ScriptedService().on("GET", f"api/jobs/{JOB_ID}/events", problem(NotFoundError))
    watcher, pauses = watched(hidden, "training")
    with pytest.raises(NotFoundError):
        list(watcher.watch())
    assert pauses == []


def test_waiting_ends_with_the_job_and_its_reason():
    service = ScriptedService().on("GET", f"api/jobs/{JOB_ID}/events", events(event(1)), events())
    watcher, _ = watched(service, "failed")
    seen = []
    assert watcher.wait(on_event=seen.append).state == "failed"
    assert [entry.seq for entry in seen] == [1]


def test_waiting_has_an_end():
    service = ScriptedService().on("GET", f"api/jobs/{JOB_ID}/events", events(event(1)))
    watcher, _ = watched(service, "training")
    with pytest.raises(DeadlineError):
        watcher.wait(timeout_seconds=0)


def test_cancelling_a_finished_job_says_so():
    path = f"api/jobs/{JOB_ID}/cancel"
    watcher, _ = watched(ScriptedService().on("POST", path, problem(JobStateError)), "completed")
    with pytest.raises(JobStateError):
        watcher.cancel()


def test_event_streams_follow_the_standard():
    lines = [": hello", "", "data: a", "data:b", "id: 7", "", "event: x", "data", "", "data: cut"]
    read = list(read_events(lines))
    assert [(found.data, found.kind, found.id) for found in read] == [
        ("a\nb", "message", "7"),
        ("", "x", "7"),
    ]


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
