"""Checkpoints with the real worker, agent and engine: they answer, and are gone on from."""

import pytest

from support.api import Api, Journey, wait_for_job

QUESTION = [{"role": "user", "content": "Write note 1.\nPatient 1: a cough."}]


def answer(api: Api, model: str) -> str:
    body = {"model": model, "messages": QUESTION, "max_tokens": 8, "temperature": 0}
    return api.json("POST", "v1/chat/completions", json=body)["choices"][0]["message"]["content"]


@pytest.mark.slow
def test_a_checkpoint_answers_as_the_adapter_that_it_became_and_is_gone_on_from(
    demo_api: Api, journey: Journey
) -> None:
    job = journey.job
    kept = demo_api.json("GET", f"api/jobs/{job['id']}/checkpoints")["items"]
    assert [one["model"] for one in kept] == [
        f"{journey.adapter['full_name']}-step{one['step']}" for one in kept
    ]
    # The last one is the adapter itself, by another name.
    last = kept[-1]
    said = answer(demo_api, journey.adapter["full_name"])
    assert answer(demo_api, last["model"]) == answer(demo_api, f"{job['id']}-step{last['step']}")
    assert answer(demo_api, last["model"]) == said
    body = {
        "name": "more-notes",
        "datasets": [job["dataset"]],
        "start_from": last["model"],
        "options": {"max_steps": 1, "rank": job["options"].get("rank", 8), "learning_rate": 1e-7},
    }
    more = demo_api.json("POST", "api/jobs", 201, json=body)
    done = wait_for_job(demo_api, more["id"])
    assert done["start_from"] == last["model"]
    adapter = demo_api.json("GET", f"api/adapters/{done['adapter_id']}")
    assert adapter["content_digests"] == journey.adapter["content_digests"]
    # One step of next to nothing: it answers as what it went on from.
    assert answer(demo_api, adapter["full_name"]) == said
