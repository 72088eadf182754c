"""Jobs in the client: submitted once, watched without gaps; against a scripted service."""

import json

import httpx
import pytest

from adaptery.client.event_streams import read_events
from adaptery.client.job import RECONNECT_ATTEMPTS, Job
from adaptery.errors import DeadlineError, JobStateError, NotFoundError, UnavailableError
from adaptery.schemas.jobs import Job as JobInfo
from support.scripted_service import AT, JOB_ID, Answer, ScriptedService, connect, job, problem


def event(seq, kind="metrics"):
    data = json.dumps({"seq": seq, "at": AT, "kind": kind, "data": {}})
    return f"id: {seq}\nevent: {kind}\ndata: {data}\n\n".encode()


def events(*pieces, broken=False):
    return httpx.Response(200, stream=Answer(pieces, broken))


def watched(service, *states):
    service.on("GET", f"api/jobs/{JOB_ID}", *(job(state) for state in states))
    pauses = []
    connection = connect(service)._connection
    return Job(connection, JobInfo.model_validate(job()), sleep=pauses.append), pauses


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
        "priority": "normal",
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


def test_a_clone_is_the_job_with_its_changes():
    service = ScriptedService().on("POST", "api/jobs", httpx.Response(201, json=job("created")))
    info = job("failed") | {"options": {"epochs": 3, "rank": 8}, "start_from": "@demo/soap@1"}
    failed = Job(connect(service)._connection, JobInfo.model_validate(info))
    failed.clone("again", rank=16, epochs=None, priority="low")
    sent = json.loads(service.bodies[-1])
    assert sent.pop("key")
    assert sent == {
        "task": info["task"],
        "name": "again",
        "base_model": info["base_model"],
        "dataset": info["dataset"],
        "start_from": "@demo/soap@1",
        "options": {"rank": 16},
        "priority": "low",
        "cloned_from": JOB_ID,
    }
    failed.clone(dataset=["@demo/visits@1", "@demo/notes@2"])
    assert json.loads(service.bodies[-1])["datasets"] == ["@demo/visits@1", "@demo/notes@2"]


STATISTICS = {"attempts": [], "inputs": [], "train_seconds": 1.0, "last_loss": 0.5} | dict.fromkeys(
    (
        *("wait_seconds", "step", "total_steps", "step_seconds", "tokens", "summary"),
        *("tokens_per_second", "peak_memory_bytes", "best_eval_loss", "best_step"),
    )
)


def test_jobs_beside_each_other_show_what_differs():
    other = "jb_" + "2" * 26
    service = ScriptedService()
    for id, rank in ((JOB_ID, 8), (other, 16)):
        info = job("completed") | {"id": id, "options": {"rank": rank, "epochs": 3}}
        points = [{"seq": 1, "at": AT, "kind": "metrics", "data": {"step": rank, "loss": 0.5}}]
        service.on("GET", f"api/jobs/{id}", info)
        service.on("GET", f"api/jobs/{id}/statistics", STATISTICS)
        service.on("GET", f"api/jobs/{id}/metrics", {"items": points, "has_more": False})
    compared = connect(service).jobs.compare([JOB_ID, other], points=100)
    assert [it.different for it in compared] == [{"rank": 8}, {"rank": 16}]
    assert compared.series("loss") == {JOB_ID: [(8, 0.5)], other: [(16, 0.5)]}
    assert "points=100" in str(service.requests[-1].url)
    table = compared._repr_html_()
    assert ">rank</bdi></th>" in table and ">16<" in table and "epochs" not in table
    assert ["epochs", 3, 3] in compared.rows(all=True) and ["rank", 8, 16] in compared.rows()


def test_options_that_tasks_name_differently_stand_side_by_side():
    tasks = {"plain": {"rank": "lora.rank"}, "other": {"lora_rank": "lora.rank", "more": "x.y"}}
    service = ScriptedService()
    ids = []
    for number, (task, options) in enumerate(tasks.items(), start=1):
        id = "jb_" + f"{number}" * 26
        ids.append(id)
        info = job("completed") | {"id": id, "task": task, "options": dict.fromkeys(options, 8)}
        service.on("GET", f"api/jobs/{id}", info)
        service.on("GET", f"api/jobs/{id}/statistics", STATISTICS)
        service.on("GET", f"api/jobs/{id}/metrics", {"items": [], "has_more": False})
        properties = {name: {"into": into} for name, into in options.items()}
        about = dict.fromkeys(("title", "queue", "description"), "x") | {"stage": "sft"}
        told = about | {"name": task, "schema": {"properties": properties}}
        service.on("GET", f"api/tasks/{task}", told)
    compared = connect(service).jobs.compare(ids)
    assert [it.different for it in compared] == [{"more": None}, {"more": 8}]
    assert ["rank", 8, 8] in compared.rows(all=True)


def test_a_name_means_the_newest_job_of_it():
    names = ("soap again", "soap", "soap")
    listed = [
        job() | {"id": "jb_" + f"{at}" * 26, "name": name} for at, name in enumerate(names, start=1)
    ]
    service = ScriptedService().on("GET", "api/jobs", {"items": listed, "has_more": False})
    jobs = connect(service).jobs
    assert jobs.get("soap").id == "jb_" + "2" * 26 and len(jobs.named("soap")) == 2
    with pytest.raises(NotFoundError):
        jobs.get("so")
