"""OpenAI's fine-tuning API as its own client uses it; jobs wait, as no agent is there to train."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import openai
import pytest
import sqlalchemy as sa

from adaptery.states import JobState
from adaptery.times import now
from adaptery_hub import retention
from adaptery_hub.database import tables
from adaptery_hub.database.statements import job_events
from adaptery_hub.database.statements.job_events import NewEvent
from support.hub_tables import BASE
from support.served_adapters import Fleet
from support.service import Client, Service
from support.shared_things import make_adapter

CHATS = b"".join(
    json.dumps(
        {
            "messages": [
                {"role": "user", "content": f"What is {number}?"},
                {"role": "assistant", "content": f"It is {number}.", "weight": number % 2},
            ]
        }
    ).encode()
    + b"\n"
    for number in range(12)
)
PAIRS = b"".join(
    json.dumps(
        {
            "input": {"messages": [{"role": "user", "content": f"What is {number}?"}]},
            "preferred_output": [{"role": "assistant", "content": f"{number}."}],
            "non_preferred_output": [{"role": "assistant", "content": "No."}],
        }
    ).encode()
    + b"\n"
    for number in range(12)
)


def openai_client(service: Service, client: Client) -> openai.AsyncOpenAI:
    token = client.headers["Authorization"].removeprefix("Bearer ")
    return openai.AsyncOpenAI(base_url=service.url + "v1", api_key=token, max_retries=0)


@pytest.fixture
async def ai(service: Service, demo: Client, fleet: Fleet) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(service, demo) as made:
        yield made


@pytest.fixture
async def stranger(service: Service, guest: Client) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai_client(service, guest) as made:
        yield made


async def test_a_file_is_uploaded_listed_read_back_and_deleted(
    ai: openai.AsyncOpenAI, demo: Client
) -> None:
    made = await ai.files.create(file=("My chats.jsonl", CHATS), purpose="fine-tune")
    assert (made.filename, made.bytes, made.purpose) == ("My chats.jsonl", len(CHATS), "fine-tune")
    assert (await ai.files.wait_for_processing(made.id)).status == "processed"
    assert [file.id async for file in ai.files.list(purpose="fine-tune")] == [made.id]
    assert (await ai.files.content(made.id)).content == CHATS
    (dataset,) = (await demo.json("GET", "api/datasets"))["items"]
    assert dataset["records"] == 12 and dataset["name"].startswith("my-chats-")
    assert (await ai.files.delete(made.id)).deleted
    assert [file async for file in ai.files.list()] == []
    with pytest.raises(openai.NotFoundError):
        await ai.files.retrieve(made.id)


async def test_lists_go_on_behind_the_last_file(ai: openai.AsyncOpenAI) -> None:
    made = [
        (await ai.files.create(file=(f"{n}.jsonl", CHATS + b"\n" * n), purpose="fine-tune")).id
        for n in range(3)
    ]
    assert [file.id async for file in ai.files.list(limit=2)] == made[::-1]


async def test_a_file_is_erased_when_its_time_is_over(
    ai: openai.AsyncOpenAI, service: Service, demo: Client
) -> None:
    after = {"anchor": "created_at", "seconds": 3600}
    kept = await ai.files.create(file=("a.jsonl", CHATS), purpose="fine-tune")
    made = [
        await ai.files.create(file=(name, rows), purpose="fine-tune", expires_after=after)
        for name, rows in (("b.jsonl", CHATS), ("c.jsonl", b"{}"), ("d.jsonl", CHATS + b"\n"))
    ]
    assert all(file.expires_at == pytest.approx(file.created_at + 3600, abs=5) for file in made)
    assert [file.id async for file in ai.files.list(order="asc", limit=2)][1:] == [
        f.id for f in made
    ]
    gone, _, waited_for = (file.id for file in made)
    job = await ai.fine_tuning.jobs.create(model=BASE, training_file=waited_for)
    ids = [f"ds_{file.id[5:]}" for file in made]
    table = tables.datasets
    due = table.update().where(table.c.id.in_(ids)).values(expires_at=now() - timedelta(seconds=1))
    await service.services.db.write(lambda c: c.execute(due))
    assert [file.id async for file in ai.files.list()] == [kept.id]
    with pytest.raises(openai.NotFoundError):
        await ai.fine_tuning.jobs.create(model=BASE, training_file=gone)
    # Nor does anybody who knows the version begin a job that would hold its erasing up.
    for dataset in (ids[0], ids[2]):
        (version,) = (await demo.json("GET", f"api/datasets/{dataset}/versions"))["items"]
        body = {"name": "late", "dataset": version["id"]}
        await demo.json("POST", "api/jobs", 404, json=body)
    (before,) = [one for one in await service.services.retention.plan() if one.name == "files"]
    swept = {one.name: one.due for one in await service.services.retention.sweep()}
    assert before.due.count == swept["files"].count == 2 and swept["files"].bytes > 0
    assert (await demo.json("GET", f"api/datasets/{ids[0]}/erase"))["state"] == "completed"
    await demo.json("GET", f"api/datasets/{ids[1]}", 404)
    assert (await ai.fine_tuning.jobs.retrieve(job.id)).status == "queued"
    await ai.fine_tuning.jobs.cancel(job.id)
    swept = {one.name: one.due for one in await service.services.retention.sweep()}
    assert swept["files"].count == 1
    assert (await ai.files.content(kept.id)).content == CHATS


async def test_jobs_are_found_by_their_notes(ai: openai.AsyncOpenAI) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    first, second = [
        await ai.fine_tuning.jobs.create(
            model=BASE, training_file=file.id, metadata={"study": study, "it's": "1"}
        )
        for study in ("visits", "it's")
    ]
    jobs = ai.fine_tuning.jobs
    assert [one.id async for one in jobs.list(metadata={"study": "visits"})] == [first.id]
    found = jobs.list(metadata={"study": "it's", "it's": "1"}, limit=1)
    assert [one.id async for one in found] == [second.id]
    assert [one async for one in jobs.list(metadata={"study": "x"})] == []


async def test_bad_rows_are_told_by_the_file(ai: openai.AsyncOpenAI, demo: Client) -> None:
    bad = CHATS + b'{"messages": [{"role": "assistant"}]}\n'
    made = await ai.files.create(file=("bad.jsonl", bad), purpose="fine-tune")
    assert made.status == "error" and "13" in (made.status_details or "")
    with pytest.raises(openai.BadRequestError, match="not processed"):
        await ai.fine_tuning.jobs.create(model=BASE, training_file=made.id)
    await ai.files.delete(made.id)
    assert (await demo.json("GET", "api/datasets"))["items"] == []


NO_UPLOADS = [
    ({"data": {"purpose": "fine-tune"}}, "file"),
    ({"files": {"file": ("a.jsonl", CHATS)}, "data": {"purpose": "vision"}}, "purpose"),
    ({"content": CHATS}, "file"),
    *(
        ({"files": {"file": ("a", CHATS)}, "data": {"purpose": "fine-tune", **after}}, param)
        for after, param in (
            ({"expires_after[seconds]": "3600"}, "expires_after"),
            ({"expires_after[anchor]": "x", "expires_after[seconds]": "3600"}, "expires_after"),
            (
                {"expires_after[anchor]": "created_at", "expires_after[seconds]": "1e9"},
                "expires_after.seconds",
            ),
            (
                {"expires_after[anchor]": "created_at", "expires_after[seconds]": "60"},
                "expires_after.seconds",
            ),
        )
    ),
    ({"files": {"file": ("a/b", CHATS)}, "data": {"purpose": "fine-tune"}}, "file"),
    (
        {
            "files": {"file": ("a.jsonl", CHATS)},
            "data": {"purpose": "fine-tune", "sensitivity": "secret"},
        },
        "sensitivity",
    ),
]


async def test_what_is_no_upload_leaves_nothing(demo: Client) -> None:
    for upload, param in NO_UPLOADS:
        answer = await demo.post("v1/files", **upload)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert (await demo.json("GET", "api/datasets"))["items"] == []


async def test_a_job_is_submitted_with_options_and_cancelled(
    ai: openai.AsyncOpenAI, demo: Client
) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    job = await ai.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        suffix="My Model!",
        seed=7,
        metadata={"study": "visits"},
        method={
            "type": "supervised",
            "supervised": {
                "hyperparameters": {
                    "n_epochs": 2,
                    "batch_size": "auto",
                    "learning_rate_multiplier": 0.5,
                }
            },
        },
        extra_body={"lora_rank": 4, "max_steps": 3},
    )
    assert job.id.startswith("ftjob-") and job.object == "fine_tuning.job"
    assert (job.status, job.model, job.training_file, job.seed) == ("queued", BASE, file.id, 7)
    assert job.metadata == {"study": "visits"}
    assert job.hyperparameters.n_epochs == 2 and job.fine_tuned_model is None
    ours = await demo.json("GET", f"api/jobs/jb_{job.id[6:]}")
    assert (ours["task"], ours["name"]) == ("sft", "my-model")
    assert ours["options"]["lora_rank"] == 4 and ours["options"]["learning_rate"] == 1e-4
    assert [one.id async for one in ai.fine_tuning.jobs.list()] == [job.id]
    cancelled = await ai.fine_tuning.jobs.cancel(job.id)
    assert cancelled.status == "cancelled" and cancelled.finished_at
    messages = [one.message async for one in ai.fine_tuning.jobs.list_events(job.id, limit=1)]
    assert messages == ["cancelled by its owner", "queued", "preparing"]


async def test_a_file_is_held_out(ai: openai.AsyncOpenAI, demo: Client) -> None:
    made = [
        await ai.files.create(file=(f"{n}.jsonl", CHATS + b"\n" * n), purpose="fine-tune")
        for n in range(2)
    ]
    learnt, kept = (file.id for file in made)
    job = await ai.fine_tuning.jobs.create(model=BASE, training_file=learnt, validation_file=kept)
    assert (job.training_file, job.validation_file) == (learnt, kept)
    ours = await demo.json("GET", f"api/jobs/jb_{job.id[6:]}")
    assert ours["validation"].startswith("@demo/1-") and len(ours["datasets"]) == 1
    statistics = await demo.json("GET", f"api/jobs/{ours['id']}/statistics")
    assert [one["held_out"] for one in statistics["inputs"]] == [False, True]
    with pytest.raises(openai.BadRequestError) as caught:
        await ai.fine_tuning.jobs.create(model=BASE, training_file=kept, validation_file=kept)
    assert caught.value.param == "validation_file"
    await ai.files.delete(kept)
    assert (await ai.fine_tuning.jobs.retrieve(job.id)).status == "failed"


async def test_pairs_are_learnt_from_by_dpo(ai: openai.AsyncOpenAI) -> None:
    file = await ai.files.create(file=("pairs.jsonl", PAIRS), purpose="fine-tune")
    job = await ai.fine_tuning.jobs.create(
        model=BASE,
        training_file=file.id,
        method={"type": "dpo", "dpo": {"hyperparameters": {"beta": 0.3}}},
    )
    assert job.method is not None and job.method.type == "dpo"


async def test_a_job_that_is_done_names_what_answers(
    ai: openai.AsyncOpenAI, service: Service, demo: Client
) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    job = await ai.fine_tuning.jobs.create(model=BASE, training_file=file.id, suffix="colours")
    job_id = f"jb_{job.id[6:]}"
    await make_adapter(service, demo, job_id, "colours")
    told = NewEvent("metrics", {"step": 1, "loss": 0.5}, now(), attempt_seq=None)
    done = {"state": JobState.COMPLETED, "summary": {"tokens": 99}, "finished_at": now()}
    await service.services.db.write(
        lambda c: (
            job_events.append(c, job_id, None, [told]),
            c.execute(tables.jobs.update().where(tables.jobs.c.id == job_id).values(**done)),
        )
    )
    job = await ai.fine_tuning.jobs.retrieve(job.id)
    assert (job.status, job.trained_tokens) == ("succeeded", 99)
    assert job.fine_tuned_model == "@demo/colours@1"
    answer = await ai.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "hi"}]
    )
    assert answer.model == "@demo/colours@1"
    (newest, *_) = (await ai.fine_tuning.jobs.list_events(job.id)).data
    assert (newest.type, newest.level, newest.data) == (
        "metrics",
        "info",
        {"step": 1, "loss": 0.5},
    )
    assert [one async for one in ai.fine_tuning.jobs.checkpoints.list(job.id)] == []
    again = await ai.fine_tuning.jobs.create(
        model=job.fine_tuned_model, training_file=file.id, suffix="more"
    )
    assert again.model == "@demo/colours@1"


NOT_OFFERED = [
    ({"model": "nobody/knows"}, None),
    ({"method": {"type": "reinforcement"}}, "method.type"),
    ({"validation_file": "file-x"}, None),
    ({"validation_file": "@demo/nothing@1"}, None),
    ({"training_file": "@demo/nothing@1"}, None),
    ({"integrations": [{"type": "wandb", "wandb": {"project": "x"}}]}, "integrations"),
    ({"extra_body": {"lora_ranks": 4}}, "options.lora_ranks"),
    ({"extra_body": {"lora_rank": {"a": 1}}}, "extra_body"),
    ({"extra_body": {"lora_rank": 100_000}}, "options.lora_rank"),
    ({"extra_body": {"task": "nothing"}}, "task"),
    ({"hyperparameters": {"n_epochs": -1}}, None),
    ({"hyperparameters": {"beta": 0.1}}, "beta"),
    ({"training_file": "not a name"}, None),
]


async def test_what_is_not_offered_is_refused(ai: openai.AsyncOpenAI) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    for asked, param in NOT_OFFERED:
        wanted = {"model": BASE, "training_file": file.id, **asked}
        with pytest.raises((openai.BadRequestError, openai.NotFoundError)) as caught:
            await ai.fine_tuning.jobs.create(**wanted)
        assert param is None or caught.value.param == param, asked
    assert [one async for one in ai.fine_tuning.jobs.list()] == []


async def test_nothing_is_paused(ai: openai.AsyncOpenAI) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    job = await ai.fine_tuning.jobs.create(
        model=BASE, training_file=file.id, hyperparameters={"n_epochs": "auto"}
    )
    for act in (ai.fine_tuning.jobs.pause, ai.fine_tuning.jobs.resume):
        with pytest.raises(openai.ConflictError, match="cannot be paused"):
            await act(job.id)


async def test_of_others_nothing_is_seen_or_used(
    ai: openai.AsyncOpenAI, stranger: openai.AsyncOpenAI
) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    job = await ai.fine_tuning.jobs.create(model=BASE, training_file=file.id)
    files, jobs = stranger.files, stranger.fine_tuning.jobs
    missing = "0" * 26
    for attempt in (
        lambda i, _: files.retrieve(f"file-{i}"),
        lambda i, _: files.content(f"file-{i}"),
        lambda i, _: files.delete(f"file-{i}"),
        lambda i, _: jobs.create(model=BASE, training_file=f"file-{i}"),
        lambda _, i: jobs.retrieve(f"ftjob-{i}"),
        lambda _, i: jobs.cancel(f"ftjob-{i}"),
        lambda _, i: jobs.pause(f"ftjob-{i}"),
        lambda _, i: jobs.list_events(f"ftjob-{i}"),
        lambda _, i: jobs.checkpoints.list(f"ftjob-{i}"),
    ):
        told = []
        for ids in ((file.id[5:], job.id[6:]), (missing, missing)):
            with pytest.raises(openai.NotFoundError) as caught:
                await attempt(*ids)
            told.append(caught.value.body)
        assert told[0] == told[1]
    assert [one async for one in files.list()] == [one async for one in jobs.list()] == []


async def test_a_cursor_is_of_the_job_that_it_is_shown_for(ai: openai.AsyncOpenAI) -> None:
    file = await ai.files.create(file=("chats.jsonl", CHATS), purpose="fine-tune")
    one, other = [
        (await ai.fine_tuning.jobs.create(model=BASE, training_file=file.id)).id for _ in range(2)
    ]
    events = ai.fine_tuning.jobs.list_events
    assert (await events(one, after=f"ftevent-{one[6:]}-2")).data
    for cursor in (f"ftevent-{other[6:]}-2", f"ftevent-{one[6:]}-{'9' * 15}", "ftevent--1"):
        with pytest.raises(openai.BadRequestError) as caught:
            await events(one, after=cursor)
        assert caught.value.param == "after"


async def test_notes_hold_no_text_that_a_database_refuses(demo: Client) -> None:
    for metadata in ({"a": "x\0"}, {"a\0": "x"}):
        body = {"model": BASE, "training_file": "x", "metadata": metadata}
        assert (await demo.post("v1/fine_tuning/jobs", json=body)).status_code == 400
    for query in ("metadata=x", "metadata[]=x", "metadata[a=x", "metadata[a]=1&metadata[a]=2"):
        assert (await demo.get(f"v1/fine_tuning/jobs?{query}")).status_code == 400


async def test_what_cannot_be_erased_yet_keeps_nothing_of_others(
    ai: openai.AsyncOpenAI,
    stranger: openai.AsyncOpenAI,
    service: Service,
    demo: Client,
    guest: Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    after = {"anchor": "created_at", "seconds": 3600}
    held = await ai.files.create(file=("a.jsonl", CHATS), purpose="fine-tune", expires_after=after)
    merged = await ai.files.create(file=("b.jsonl", CHATS), purpose="fine-tune")
    other = await stranger.files.create(
        file=("c.jsonl", CHATS), purpose="fine-tune", expires_after=after
    )
    datasets = [f"ds_{file.id[5:]}" for file in (held, merged, other)]
    pages = [await demo.json("GET", f"api/datasets/{one}/versions") for one in datasets[:2]]
    source, made = (page["items"][0]["id"] for page in pages)
    link = {"id": f"{made}.0", "created_at": now(), "position": 0}
    link |= {"version_id": made, "source_version_id": source}
    await ai.fine_tuning.jobs.create(model=BASE, training_file=merged.id)
    table = tables.datasets
    over = table.update().where(table.c.id.in_(datasets)).values(expires_at=now())
    for statement in (tables.version_sources.insert().values(link), over):
        await service.services.db.write(lambda c, one=statement: c.execute(one))
    swept = {one.name: one.due for one in await service.services.retention.sweep()}
    assert swept["files"].count == 1
    assert (await guest.json("GET", f"api/datasets/{datasets[2]}/erase"))["state"] == "completed"
    # Nor is it tried each hour, and shown to its owner as what failed.
    tried = sa.select(tables.operations.c.thing_id).where(tables.operations.c.kind == "erase")
    assert await service.services.db.read(lambda c: c.scalars(tried).all()) == [datasets[2]]
