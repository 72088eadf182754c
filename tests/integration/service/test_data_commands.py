"""`adaptery data` against a real service, as a user runs it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adaptery.commands import main
from support.service import Service, alpaca, running_service
from support.shell import Shell

TOKEN = "token-of-the-command-line"
GUESSED = "ID,dialogue,section_text\n1,What is it?,A cough\x1b[31m.\n2,And you?,Fever.\n"


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    policy = {"open": ["pii"]}
    async with running_service(tmp_path / "state", publish_policy=policy) as running:
        yield running


@pytest.fixture
def shell(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Shell:
    service.client("demo", groups=("radiology",), token=TOKEN)
    monkeypatch.setenv("ADAPTERY_URL", service.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", TOKEN)
    monkeypatch.chdir(tmp_path)
    return Shell(capsys, "data")


async def test_a_file_becomes_versions_that_are_compared_fetched_and_withdrawn(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "visits.json").write_bytes(alpaca(4))
    told = await shell.run("push", "visits.json")
    assert "There is no dataset @demo/visits yet: it is made now, as internal." in told
    assert "visits.json: 4 records are in the draft of @demo/visits." in told
    assert "Patient" not in told and shell.err == ""  # no content, no bar: this is no terminal
    assert "already: 4 records" in await shell.run("push", "visits.json", "visits")

    told = await shell.run("publish", "visits")
    assert told.startswith("Published @demo/visits@1: 4 records.\nkinds: chat 4\ncontent digest: ")
    assert "guarded by the store: integrity checked" in told
    await shell.run("publish", "visits", status=1)
    assert "@demo/visits@1 has exactly these records" in shell.err

    (tmp_path / "more.json").write_bytes(alpaca(2, "fever"))
    await shell.run("push", "more.json", "@demo/visits")
    info = json.loads(await shell.run("publish", "visits", "--json"))
    assert (info["name"], info["records"]) == ("@demo/visits@2", 6)

    counts = json.loads(await shell.run("diff", "visits@1", "visits", "--json"))["counts"]
    assert counts["same"] + counts["changed"] == 4
    told = await shell.run("diff", "visits@1", "visits@2", "--records")
    assert told.startswith("From @demo/visits@1 to @demo/visits@2: ")
    assert "\n+   assistant: S: fever 0.\n" in told

    await check_fetched(shell, tmp_path)
    monkeypatch.setattr("adaptery.data_commands.pull.watched", lambda: True)
    await shell.run("pull", "visits@2", "--container", "parquet", "any-order.parquet")
    assert shell.err.startswith("Fetching @demo/visits@2: ") and "100%" in shell.err

    assert "file visits.json went into version @demo/visits@1" in await shell.run(
        "lineage", "visits@1"
    )
    await shell.run("withdraw", "visits@1", "--reason", "A reason.", status=1)
    assert "add --yes" in shell.err
    await shell.run("withdraw", "visits@1", "--reason", "A reason.", "--yes")
    listed = (await shell.run("list", "visits")).splitlines()
    assert [line.split()[:2] for line in listed[1:]] == [
        ["@demo/visits@1", "withdrawn"],
        ["@demo/visits@2", "completed"],
    ]
    assert "is withdrawn: A reason." in await shell.run("pull", "visits@1", "again")
    (one,) = json.loads(await shell.run("list", "--json"))
    assert (one["full_name"], one["records"]) == ("@demo/visits", 6)


async def check_fetched(shell: Shell, folder: Path) -> None:
    told = await shell.run("pull", "visits")
    assert "@demo/visits@2: 6 records are in visits-2." in told and "signed by ed25519:" in told
    assert (folder / "visits-2" / "data" / "all-00000.parquet").is_file()
    await shell.run("pull", "visits", "--split", "test", "--container", "jsonl", status=1)
    assert "No record of the version is in the split test." in shell.err
    await shell.run("pull", "visits", "--split", "train", "one-split", status=1)
    assert "add --container jsonl" in shell.err
    await shell.run("pull", "visits", status=1)
    assert "visits-2 exists" in shell.err

    await shell.run("pull", "visits@2", "notes.csv", "--format", "alpaca", "--container", "csv")
    assert (folder / "notes.csv").read_text().startswith('instruction,input,output\n"Write note 0.')
    await shell.run("pull", "visits@2", "--format", "openai")
    record = json.loads((folder / "visits-2.jsonl").read_text().splitlines()[0])
    assert record["messages"][0]["role"] == "user"

    stranger = "ed25519:" + "A" * 43
    await shell.run("pull", "visits", "else", "--key", stranger, status=1)
    assert "not signed by the key" in shell.err
    assert not [path for path in folder.iterdir() if "else" in path.name or ".dv_" in path.name]


async def test_a_doubt_is_asked_about_once(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "talks.csv").write_text(GUESSED)
    await shell.run("push", "talks.csv", status=1)
    assert "not certain how to read talks.csv; nothing was imported" in shell.err
    assert "read as prompt: prompt = dialogue, completion = section_text" in shell.out

    for answer, status in (("n\n", 1), ("y\n", 0)):
        monkeypatch.setattr("adaptery.data_commands.push.can_answer", lambda: True)
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        told = await shell.run("push", "talks.csv", status=status)
        assert "Is it to be read so? [y/N]" in told
    assert "talks.csv: 2 records are in the draft of @demo/talks." in shell.out

    await shell.run("check", "talks.csv", "--save-mapping", "m.json")
    told = await shell.run("push", "talks.csv", "other", "--mapping", "m.json")
    assert "Is it to be read" not in told and "2 records are in the draft of @demo/other" in told


async def test_bad_records_are_all_told_and_left_out_on_demand(
    shell: Shell, tmp_path: Path
) -> None:
    rows = [*json.loads(alpaca(3)), *[{"instruction": "x"}] * 30]
    (tmp_path / "bad.json").write_text(json.dumps(rows))
    told = await shell.run("push", "bad.json", status=1)
    assert told.count("output: is missing.") == 30 and "record 33, output" in told
    assert "30 of 33 records are not valid" in shell.err and "--skip-bad" in shell.err

    await shell.run("push", "bad.json", "--problems", "out.csv", status=1)
    lines = (tmp_path / "out.csv").read_text().splitlines()
    assert lines[0] == "number,where,reason,remedy" and len(lines) == 31

    told = await shell.run("push", "bad.json", "--skip-bad", "--problems", "out.csv")
    assert "3 records are in the draft of @demo/bad, 30 left out" in told

    await shell.run("push", "none.json", status=1)
    assert "does not exist" in shell.err
    await shell.run("push", "bad.json", "bad@1", status=1)
    assert "Files go into the draft" in shell.err
    await shell.run("push", "bad.json", "bad", "--sensitivity", "open", status=1)
    assert "is there already, and it is internal" in shell.err


async def test_a_policy_says_what_to_do_and_the_review_counts(shell: Shell, tmp_path: Path) -> None:
    row = {"instruction": "Write.", "output": "Mail to a@example.org or call 415-555-0100, please."}
    (tmp_path / "letters.json").write_text(json.dumps([row]))
    await shell.run("push", "letters.json", "--sensitivity", "open")
    await shell.run("publish", "letters", status=1)
    assert "run `adaptery data review @demo/letters --queues pii`" in shell.err

    told = await shell.run("review", "@demo/letters", "--queues", "pii", "quality")
    queues = [line.split()[0] for line in told.splitlines()]
    assert queues == ["QUEUE", "pii", "quality"] and "email 1, phone 1" in told
    assert "example.org" not in told
    told = await shell.run("review", "letters", "--counts", "--show", "--queues", "pii")
    assert "Mail to [a@example.org] or call" in told
    (state,) = json.loads(await shell.run("review", "letters", "--queues", "pii", "--json"))
    assert state["open"] == 2

    await shell.run("publish", "letters", status=1)
    assert "pii: holds 2 findings that nobody has decided about" in shell.err


async def test_what_is_not_there_or_not_mine_is_one_line(
    service: Service, shell: Shell, tmp_path: Path
) -> None:
    other = service.client("other")
    await other.dataset("hidden")
    for words in (
        ("publish", "@other/hidden"),
        ("review", "@other/hidden"),
        ("pull", "@other/hidden@1"),
        ("diff", "@other/hidden@1", "@other/hidden@2"),
        ("lineage", "@other/hidden"),
        ("list", "@other/hidden"),
    ):
        await shell.run(*words, status=1)
        assert shell.err == ("adaptery: There is no such dataset, or it is not yours to see.\n")
    (tmp_path / "a.json").write_bytes(alpaca(1))
    await shell.run("push", "a.json", "@other/hidden", status=1)
    assert "You have no tenant of that name." in shell.err
    assert "No datasets." in await shell.run("list")
    for words in (("diff", "one"), ("review", "a", "--queues", "all"), ("push",), ("nothing",)):
        with pytest.raises(SystemExit) as caught:
            main(["data", *words])
        assert caught.value.code == 2


async def test_an_interrupted_push_says_how_to_go_on(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "visits.json").write_bytes(alpaca(4))

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr("adaptery.client.uploads.send_file", interrupt)
        await shell.run("push", "visits.json", status=130)
    assert "push it again to go on" in shell.err
    assert "4 records are in the draft" in await shell.run("push", "visits.json")
