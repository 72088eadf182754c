"""The journey of one user on a real Hub: HTTP, a spawned notebook, the client, OpenAI's client."""

import json
from collections.abc import Iterator

import pytest

from local_hub import HubUser
from support.api import Api, Journey
from support.kernel import KernelSession

QUESTION = [{"role": "user", "content": "Write note 1.\nPatient 1: a cough."}]


@pytest.fixture(scope="module")
def kernel(demo: HubUser, journey: Journey) -> Iterator[KernelSession]:
    demo.spawn()
    kernel = KernelSession(demo)
    yield kernel
    kernel.close()
    demo.stop_server()


def test_the_job_ends_with_an_adapter_that_names_what_it_came_from(
    demo_api: Api, journey: Journey
) -> None:
    assert journey.job["state"] == "completed"
    assert set(journey.job["summary"]) >= {
        "train_runtime",
        "train_samples_per_second",
        "train_steps_per_second",
        "total_flos",
        "train_loss",
    }
    assert journey.adapter["content_digests"] == [journey.version["content_digest"]]
    kinds = [
        e["data"] for e in demo_api.json("GET", f"api/jobs/{journey.job['id']}/metrics")["items"]
    ]
    assert len(kinds) >= 2 and {"loss", "learning_rate", "epoch"} <= set(kinds[0])


def test_models_lists_the_base_and_the_adapter(demo_api: Api, journey: Journey) -> None:
    names = [model["id"] for model in demo_api.json("GET", "v1/models")["data"]]
    assert "tiny/tiny-llama" in names and journey.adapter["full_name"] in names
    quoted = journey.adapter["full_name"].replace("/", "%2F")
    assert demo_api.json("GET", f"v1/models/{quoted}")["id"] == journey.adapter["full_name"]


def test_the_adapter_answers_differently_from_its_base(demo_api: Api, journey: Journey) -> None:
    answers = {}
    for model in ("", "tiny/tiny-llama", journey.adapter["full_name"]):
        body = {"model": model, "messages": QUESTION, "max_tokens": 8, "temperature": 0}
        answer = demo_api.json("POST", "v1/chat/completions", json=body)
        assert answer["usage"]["completion_tokens"] <= 8
        answers[model] = answer["choices"][0]["message"]["content"]
    assert answers[""] == answers["tiny/tiny-llama"]


def test_a_stream_ends_with_done_and_usage(demo_api: Api, journey: Journey) -> None:
    body = {
        "model": journey.adapter["full_name"],
        "messages": QUESTION,
        "max_tokens": 6,
        "temperature": 0,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    lines = []
    with demo_api.stream("POST", "v1/chat/completions", json=body) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = [line[6:] for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "[DONE]"
    chunks = [json.loads(line) for line in lines[:-1]]
    assert chunks[0]["choices"][0]["delta"].get("role") == "assistant"
    assert chunks[-1]["usage"]["completion_tokens"] > 0 and chunks[-1]["choices"] == []
    assert any(c["choices"] and c["choices"][0]["finish_reason"] for c in chunks)


def test_job_events_resume_after_the_last_one_that_was_seen(
    demo_api: Api, journey: Journey
) -> None:
    path = f"api/jobs/{journey.job['id']}/events"
    with demo_api.stream("GET", path) as answer:
        ids = [int(line[4:]) for line in answer.iter_lines() if line.startswith("id: ")]
    assert ids == sorted(set(ids)) and len(ids) > 3
    with demo_api.stream("GET", path, headers={"Last-Event-ID": str(ids[1])}) as answer:
        rest = [int(line[4:]) for line in answer.iter_lines() if line.startswith("id: ")]
    assert rest == ids[2:]


def test_the_notebook_needs_no_configuration(kernel: KernelSession, journey: Journey) -> None:
    printed = kernel.run(
        "import adaptery\n"
        "hub = adaptery.connect()\n"
        "print(hub.whoami().name)\n"
        "print([a.full_name for a in hub.adapters.list()])\n"
    )
    assert "demo" in printed and journey.adapter["full_name"] in printed


OPENAI_CODE = """
import openai
client = openai.OpenAI()
asked = dict(model=NAME, messages=QUESTION, max_tokens=5)
print(sorted(model.id for model in client.models.list()))
print(client.chat.completions.create(**asked).usage.completion_tokens)
print("chunks", len(list(client.chat.completions.create(**asked, stream=True))) > 1)
print(client.completions.create(model=NAME, prompt="a", max_tokens=3).object)
try:
    client.chat.completions.create(model="@guest/secret", messages=QUESTION)
except openai.NotFoundError as error:
    print("404", error.code)
"""


def test_openai_works_in_the_notebook_unchanged(kernel: KernelSession, journey: Journey) -> None:
    name = journey.adapter["full_name"]
    printed = kernel.run(f"NAME = {name!r}; QUESTION = {QUESTION!r}\n" + OPENAI_CODE)
    assert name in printed and "chunks True" in printed and "text_completion" in printed
    assert "404 not_found" in printed


WIDGET_CODE = """
import json, time
import adaptery_widgets

chat = adaptery_widgets.Chat()
sent = []
chat.send = lambda content, buffers=None: sent.append(content)
args = dict(model=NAME, messages=QUESTION, max_tokens=4, temperature=0.2)
chat._receive(chat, dict(id="a", kind="ask", verb="adapters.list", args={}), [])
chat._receive(chat, dict(id="b", kind="ask", verb="chat", args=args), [])
deadline = time.monotonic() + 60
while sum(m["kind"] == "end" for m in sent) < 2 and time.monotonic() < deadline:
    time.sleep(0.05)
print([m["kind"] for m in sent if m["id"] == "b"])
state = {k: v for k, v in chat.get_state().items() if k not in ("_esm", "_css")}
print("Patient" in json.dumps(state, default=str))
"""


def test_the_chat_widget_answers_without_keeping_content_in_its_state(
    kernel: KernelSession, journey: Journey
) -> None:
    name = journey.adapter["full_name"]
    printed = kernel.run(f"NAME = {name!r}; QUESTION = {QUESTION!r}\n" + WIDGET_CODE)
    assert "'event'" in printed and "'end'" in printed and "'error'" not in printed
    assert printed.strip().endswith("False")
