"""Pre-flights over HTTP: numbers for whoever may use the data, content for whoever may view it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import adaptery
from adaptery.commands import main
from adaptery_hub.preflight import desk, work
from support.service import Client, Service, running_service
from support.tokenizer_folders import END, write_tokenizer

DIGEST, ENDLESS_DIGEST = "sha256:" + "a" * 64, "sha256:" + "b" * 64
#: A template that goes on for years.
ENDLESS = (
    "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(99999) %}"
    "{% endfor %}{% endfor %}{% endfor %}"
)
CONFIG = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 260,
    "max_position_embeddings": 512,
}
SECRET = "the patient said so"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    state = tmp_path / "state"
    described = state / "base-models"
    folder = write_tokenizer(described / DIGEST.removeprefix("sha256:"))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    write_tokenizer(described / ENDLESS_DIGEST.removeprefix("sha256:"), ENDLESS)
    pins = {"tiny": DIGEST, "endless": ENDLESS_DIGEST}
    async with running_service(
        state,
        base_models={name: f"/models/{name}" for name in ("tiny", "far", "endless")},
        default_base_model="tiny",
        pinned_digests=pins,
    ) as running:
        yield running


def lines(count: int) -> bytes:
    records = (
        {
            "messages": [
                {"role": "user", "content": f"{SECRET} {n} " + "x" * n},
                {"role": "assistant", "content": f"Note {n}: {{{{name}}}}" if n == 3 else f"{n} ü"},
            ]
        }
        for n in range(count)
    )
    return "\n".join(json.dumps(record) for record in records).encode()


async def published(client: Client, name: str, count: int = 12) -> tuple[str, str]:
    dataset = await client.dataset(name)
    await client.upload(dataset, lines(count), name="visits.jsonl")
    version = (await client.publish(dataset))["result"]["version"]["id"]
    return dataset, version


async def report_of(client: Client, body: dict) -> dict:
    begun = await client.json("POST", "api/jobs/preflight", 202, json=body)
    ended = await client.ended(begun["id"])
    assert ended["state"] == "completed", ended
    return ended["result"]


async def test_numbers_without_a_word_of_content(demo: Client) -> None:
    _, version = await published(demo, "visits")
    options = {"epochs": 2, "cutoff_len": 100, "batch_size": 4}
    found = await report_of(demo, {"dataset": version, "options": options})
    assert (found["records"], found["examples"], found["base_model"]) == (12, 12, "tiny")
    assert found["tokens"] > found["target_tokens"] > 12
    assert sum(bin["records"] for bin in found["lengths"]) == 12
    assert found["steps"] >= found["steps_per_epoch"] > 0
    assert found["seconds"]["low"] is None and "has been completed" in found["seconds"]["basis"]
    assert 0 < found["memory_bytes"]["need"] < 2**31 and found["disk_bytes"] > 0
    reasons = " ".join(entry["reason"] for entry in found["warnings"])
    assert "placeholder" in reasons and "12 records are few" in reasons
    assert SECRET not in json.dumps(found)


async def test_what_a_translation_leaves_out_is_said_before(demo: Client) -> None:
    dataset = await demo.dataset("pairs")
    rows = [
        {
            "conversations": [{"from": "human", "value": f"{SECRET} {n}"}],
            "chosen": {"from": "gpt", "value": f"good {n}"},
            "rejected": {"from": "gpt", "value": f"poor {n}"},
        }
        for n in range(3)
    ]
    await demo.upload(dataset, json.dumps(rows).encode())
    version = (await demo.publish(dataset))["result"]["version"]["id"]
    found = await report_of(demo, {"dataset": version})
    assert found["records"] == found["examples"] == 3
    said = found["warnings"][0]
    assert said["where"] == "datasets"
    assert said["reason"] == "to translate 1 dataset to chat first leaves out: rejected answers."


async def test_the_first_batch_is_shown_token_by_token(demo: Client) -> None:
    _, version = await published(demo, "batch")
    body = {"dataset": version, "options": {"batch_size": 2}}
    rows = (await demo.json("POST", "api/jobs/preflight/batch", 200, json=body))["rows"]
    assert len(rows) == 2
    for row in rows:
        text = "".join(token["text"] for token in row["tokens"])
        learnt = "".join(token["text"] for token in row["tokens"] if token["weight"])
        assert SECRET in text and SECRET not in learnt and learnt.endswith(END)
        assert row["dataset"] == "@demo/batch@1" and not row["cut"]
        assert f"{SECRET} {row['record'] - 1} " in text


async def test_who_may_only_use_the_data_gets_numbers_and_no_batch(
    demo: Client, guest: Client
) -> None:
    dataset, version = await published(demo, "shared")
    body = {"dataset": version}
    for path in ("api/jobs/preflight", "api/jobs/preflight/batch"):
        await guest.json("POST", path, 404, json=body)
    await demo.json(
        "PUT", f"api/datasets/{dataset}/grants", 200, json={"principal": "@guest", "right": "use"}
    )
    assert (await report_of(guest, body))["examples"] == 12
    problem = await guest.json("POST", "api/jobs/preflight/batch", 403, json=body)
    assert SECRET not in json.dumps(problem)
    operation = await guest.json("POST", "api/jobs/preflight", 202, json=body)
    await demo.json("GET", f"api/operations/{operation['id']}", 404)


async def test_what_a_worker_would_refuse_is_told(demo: Client) -> None:
    _, version = await published(demo, "cut")
    found = await report_of(demo, {"dataset": version, "options": {"cutoff_len": 8}})
    assert (found["examples"], found["steps"]) == (0, 0)
    (warning,) = found["warnings"]
    assert "No record is left" in warning["reason"] and "cut-off" in warning["remedy"]


async def test_a_model_that_nobody_described_is_asked_for_later(demo: Client) -> None:
    _, version = await published(demo, "far")
    body = {"dataset": version, "base_model": "far"}
    for path in ("api/jobs/preflight", "api/jobs/preflight/batch"):
        problem = await demo.json("POST", path, 503, json=body)
        assert "No agent has described" in problem["detail"]


async def test_a_template_that_never_ends_is_ended(
    demo: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "BATCH_SECONDS", 0.5)
    monkeypatch.setattr(work, "LIMIT_SECONDS", 0.5)
    _, version = await published(demo, "endless", 2)
    body = {"dataset": version, "base_model": "endless"}
    problem = await demo.json("POST", "api/jobs/preflight/batch", 504, json=body)
    assert problem["code"] == "timeout"
    begun = await demo.json("POST", "api/jobs/preflight", 202, json=body)
    ended = await demo.ended(begun["id"])
    assert (ended["state"], ended["error"]["code"]) == ("failed", "timeout")


async def test_client_and_command_line_tell_it(
    service: Service, demo: Client, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    _, version = await published(demo, "client")
    token = demo.headers["Authorization"].removeprefix("Bearer ")
    monkeypatch.setenv("ADAPTERY_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", token)

    def run() -> None:
        with adaptery.connect(service.url, token) as hub:
            found = hub.jobs.preflight(version, batch_size=2)
            assert found.report.examples == 12 and "12 of 12 records" in repr(found)
            assert "placeholder" in found._repr_html_()
            batch = found.first_batch()
            assert len(batch) == 2 and "ü&lt;|end|&gt;</span>" in batch._repr_html_()
            assert f"{SECRET} " in repr(batch) and f"ü{END}]]" in repr(batch)
        assert main(["jobs", "preflight", "--dataset", version, "--set", "batch_size=2"]) == 3

    await asyncio.to_thread(run)
    told = capsys.readouterr().out
    assert "Steps" in told and "! dataset: 12 records are few" in told


async def test_numbers_of_data_that_may_only_be_used_are_no_test_of_what_is_in_it(
    demo: Client, guest: Client
) -> None:
    """Whoever guesses a record must not be told that it is there."""
    dataset, _ = await published(demo, "guarded")
    version = await split_again(demo, dataset)
    _, guesses = await published(guest, "guesses")
    options = {"eval_steps": 1, "cutoff_len": 256}
    body = {"task": "sft", "datasets": [guesses, version], "options": options}
    for right, told in (("use", False), ("view", True)):
        grant = {"principal": "@guest", "right": right}
        await demo.json("PUT", f"api/datasets/{dataset}/grants", json=grant)
        found = await report_of(guest, body)
        assert found["held_out"] > 0
        assert ("learnt too" in json.dumps(found["warnings"])) == told


async def split_again(client: Client, dataset: str) -> str:
    """Split a draft and publish it; return the version."""
    begun = await client.json(
        "POST", f"api/datasets/{dataset}/splits", 202, json={"validation": 0.5}
    )
    assert (await client.ended(begun["id"]))["state"] == "completed"
    return (await client.publish(dataset))["result"]["version"]["id"]


async def test_endless_first_batches_of_one_user_keep_nobody_else_waiting(
    demo: Client, guest: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk, "BATCH_SECONDS", 4.0)
    _, endless = await published(demo, "endless", 2)
    _, version = await published(guest, "quick", 2)
    body = {"dataset": endless, "base_model": "endless"}
    greedy = [
        asyncio.create_task(demo.post("api/jobs/preflight/batch", json=body)) for _ in range(2)
    ]
    await asyncio.sleep(0)
    await guest.json("POST", "api/jobs/preflight/batch", 200, json={"dataset": version})
    assert not any(task.done() for task in greedy)
    assert [answer.status_code for answer in await asyncio.gather(*greedy)] == [504, 504]
