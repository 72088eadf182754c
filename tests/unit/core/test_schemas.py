"""Schemas: what is refused, what is ignored, and what stays out of errors."""

import json

import pytest
from pydantic import ValidationError

from adaptery.digests import sha256_bytes
from adaptery.errors import InvalidInputError, SpecError
from adaptery.ids import new_id
from adaptery.schemas.agents import JoinTokenCreate
from adaptery.schemas.common import Page, parse, parse_json
from adaptery.schemas.datasets import DatasetCreate, PublishRequest
from adaptery.schemas.events import MetricsEvent, event_line, parse_event
from adaptery.schemas.jobs import JobCreate
from adaptery.schemas.openai import ChatRequest, CompletionRequest
from adaptery.schemas.spec import JobSpec
from adaptery.schemas.tasks import Task
from adaptery.times import now

SECRET = "the patient is Jane Roe"
DIGEST = sha256_bytes(b"")


def spec(**changes):
    return {
        "spec_version": 1,
        "job": new_id("jb"),
        "attempt": new_id("at"),
        "fencing_token": 1,
        "stage": "sft",
        "base_model": {"name": "tiny", "weight_digest": DIGEST},
        "inputs": [{"version": new_id("dv"), "content_digest": DIGEST, "split": "train"}],
        "limits": {"wall_seconds": 60, "memory_bytes": 1, "disk_bytes": 1},
    } | changes


def test_a_spec_round_trips():
    read = parse(JobSpec, spec(resume_from={"step": 3, "digest": DIGEST}), SpecError)
    assert parse_json(JobSpec, read.model_dump_json()) == read


@pytest.mark.parametrize(
    "changes",
    [
        {"spec_version": 3},
        {"hook": "os.system"},
        {"job": "../../etc"},
        {"attempt": "at_x\n"},
        {"stage": "ppo"},
        {"inputs": []},
        {"fencing_token": 0},
        {"template": "../x"},
        {"lora": {"rank": 8, "targets": [".*"]}},
        {"lora": {"rank": 0}},
        {"optim": {"learning_rate": float("nan")}},
        {"optim": {"precision": "int8"}},
        {"limits": {"wall_seconds": 1}},
        {"base_model": {"name": "tiny", "weight_digest": "md5:1"}},
    ],
)
def test_a_spec_with_anything_else_is_refused(changes):
    with pytest.raises(SpecError):
        parse(JobSpec, spec(**changes), SpecError)


@pytest.mark.parametrize(
    ("schema", "body"),
    [
        (
            DatasetCreate,
            {"name": SECRET, SECRET: 1, "sensitivity": SECRET, "description": [SECRET]},
        ),
        (PublishRequest, {"force": SECRET}),
        (JobCreate, {"name": "x", "dataset": "d", "options": {"a": {"b": SECRET}}}),
        (JoinTokenCreate, {"labels": [SECRET], "expires_seconds": SECRET}),
        (ChatRequest, {"messages": [{"role": SECRET, "content": {"a": SECRET}}]}),
        (ChatRequest, {"messages": SECRET, "n": 99}),
    ],
)
def test_errors_of_validation_hold_no_values(schema, body):
    body = {key: value for key, value in body.items() if key != SECRET}
    with pytest.raises(InvalidInputError) as caught:
        parse(schema, body)
    assert SECRET not in json.dumps(caught.value.to_problem("rq_1"))
    with pytest.raises(InvalidInputError) as caught:
        parse_json(schema, json.dumps(body)[:-1])
    assert SECRET not in json.dumps(caught.value.to_problem("rq_1"))


def test_an_error_names_the_field_and_the_remedy():
    with pytest.raises(InvalidInputError) as caught:
        parse(DatasetCreate, {"colour": "red"})
    told = {problem.where: problem for problem in caught.value.errors}
    assert told["name"].remedy == "Add it."
    assert "spelling" in told["colour"].remedy


def test_an_empty_body_counts_as_an_empty_object():
    assert parse_json(PublishRequest, b"") == PublishRequest()


def test_answers_ignore_what_an_older_client_does_not_know():
    page = Page[int].model_validate({"items": [1], "has_more": False, "total": 1})
    assert page.items == (1,)


def test_options_keep_their_types():
    options = {"epochs": 2, "rate": 0.5, "packing": True, "name": "x"}
    read = parse_json(JobCreate, json.dumps({"name": "j", "dataset": "d", "options": options}))
    assert [type(value) for value in read.options.values()] == [int, float, bool, str]


def test_a_task_shows_its_schema_under_that_name():
    task = Task(
        name="t", title="T", stage="sft", queue="q", description="", schema_={"type": "object"}
    )
    assert task.model_dump(mode="json")["schema"] == {"type": "object"}
    assert Task.model_validate_json(task.model_dump_json()) == task


# -- worker events ----------------------------------------------------------------------------


def test_an_event_is_one_line():
    event = MetricsEvent(seq=1, at=now(), step=5, epoch=0.5, loss=1.25)
    line = event_line(event)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    read = parse_event(line)
    assert isinstance(read, MetricsEvent) and read.loss == 1.25
    assert event_line(read) == line


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"loss 1.0",
        b'{"seq": 1}',
        b'{"seq": 1, "at": "2026-01-02T03:04:05Z", "kind": "poem"}',
        b'{"seq": 1, "at": "2026-01-02T03:04:05", "kind": "log", "message": "naive"}',
        b'{"seq": 1, "at": "2026-01-02T03:04:05Z", "kind": "log", "message": "m", "text": "x"}',
        b'{"seq": 1, "at": "2026-01-02T03:04:05Z", "kind": "metrics", "step": 1, "epoch": NaN}',
        b'{"seq": 1, "at": "2026-01-02T03:04:05Z", "kind": "checkpoint", "step": 1,'
        b' "path": "../x", "digest": "' + DIGEST.encode() + b'"}',
        b'{"x": "' + b"a" * 20_000 + b'"}',
    ],
)
def test_other_lines_are_no_events(line):
    with pytest.raises(InvalidInputError):
        parse_event(line)


# -- OpenAI requests --------------------------------------------------------------------------


def test_what_real_clients_send_is_taken_and_not_forwarded():
    body = {
        "model": None,
        "messages": [
            {"role": "developer", "content": "be kind"},
            {"role": "user", "content": [{"type": "text", "text": "hi"}]},
            {"role": "model", "content": "hello", "refusal": None},
        ],
        "logit_bias": None,
        "cache_salt": "x",
        "tools": [],
        "stop": "END",
        "stream": None,
        "max_completion_tokens": 5,
        "user": "me",
    }
    request = ChatRequest.model_validate(body)
    assert request.model == "" and not request.stream and not request.wants_usage()
    assert request.engine_request("ad_1") == {
        "model": "ad_1",
        "messages": [
            {"role": "system", "content": "be kind"},
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": "hello"},
        ],
        "max_tokens": 5,
        "stop": ["END"],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_completion_takes_one_prompt_or_several():
    assert CompletionRequest.model_validate({"prompt": "x"}).engine_request("m")["prompt"] == "x"
    several = CompletionRequest.model_validate({"prompt": ["x", "y"], "max_tokens": 3})
    assert several.engine_request("m")["prompt"] == ["x", "y"]
    for prompt in ([1, 2, 3], [], None):
        with pytest.raises(ValidationError):
            CompletionRequest.model_validate({"prompt": prompt})


@pytest.mark.parametrize(
    "changes",
    [
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        {"temperature": 3},
        {"top_p": 0},
        {"n": 17},
        {"max_tokens": 0},
        {"stop": ["x"] * 17},
        {"stream": "perhaps"},
    ],
)
def test_what_cannot_be_done_is_refused(changes):
    body = {"messages": [{"role": "user", "content": "x"}]} | changes
    with pytest.raises(InvalidInputError):
        parse(ChatRequest, body)


def test_texts_for_the_database_hold_no_nul() -> None:
    assert DatasetCreate(name="visits", description="ä line\n\tand another").description
    for made in (
        lambda text: DatasetCreate(name="visits", description=text),
        lambda text: PublishRequest(description=text),
    ):
        with pytest.raises(ValidationError):
            made("visits\0")
