"""What describes a base model goes from an agent's folder to the service, piece by piece."""

import base64
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adaptery.base_models import PIECE_BYTES
from adaptery.errors import InvalidInputError, NotFoundError, RefusedError, TooLargeError
from adaptery.examples import ChatTokenizer
from adaptery.sealed import Grant
from adaptery_hub.base_model_files import PAUSE_SECONDS, BaseModelFiles
from adaptery_network.agent.base_models import BaseModel
from adaptery_network.agent.model_files import ModelFilesServer
from support.tokenizer_folders import write_tokenizer

DIGEST = "sha256:" + "a" * 64
MODEL = {"name": "tiny", "weight_digest": DIGEST}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = write_tokenizer(tmp_path / "base")
    (folder / "config.json").write_text('{"hidden_size": 64}' + " " * PIECE_BYTES)
    (folder / "model.safetensors").write_bytes(b"secret")
    return folder


@pytest.fixture
def agent(base: Path) -> ModelFilesServer:
    def find(name: str, digest: str) -> BaseModel:
        if (name, digest) != ("tiny", DIGEST):
            raise NotFoundError("no such model")
        return BaseModel(name, digest, base)

    return ModelFilesServer(find)


def grant(thing: str = "tiny", digest: str = DIGEST) -> Grant:
    return Grant(
        verb="fetch",
        thing=thing,
        weight_digest=digest,
        caller="service",
        caller_key="ed25519:x",
        not_after=datetime.now(UTC) + timedelta(minutes=1),
    )


async def ask(agent: ModelFilesServer, body: Mapping[str, object], told: Grant) -> dict:
    async with aclosing(agent.answer(told, dict(body))) as items:
        return dict((await anext(items))[1])


async def test_the_service_gets_them_once_and_whole(agent, base, tmp_path):
    asked: list[str] = []

    async def read(file: str, offset: int) -> Mapping[str, object]:
        asked.append(file)
        return await ask(agent, {"model": MODEL, "file": file, "offset": offset}, grant())

    files = BaseModelFiles(tmp_path / "service")
    files.digest_of = {"tiny": DIGEST}.get
    assert files.wants(DIGEST) and files.find_named("tiny") is None
    await files.collect(DIGEST, "ag_a", read)
    folder = files.find_named("tiny")
    assert folder is not None and not files.wants(DIGEST)
    assert (folder / "config.json").read_bytes() == (base / "config.json").read_bytes()
    assert asked.count("config.json") == 2 and not (folder / "model.safetensors").exists()
    assert ChatTokenizer(folder).encode("é") == ChatTokenizer(base).encode("é")
    again = BaseModelFiles(tmp_path / "service")
    assert again.find(DIGEST) == folder and again.find("sha256:" + "b" * 64) is None


async def test_what_an_agent_said_goes_with_it_and_another_says_it_anew(agent, tmp_path):
    async def lie(file: str, offset: int) -> Mapping[str, object]:
        return {"bytes": 2, "data": base64.b64encode(b"{}").decode()}

    async def read(file: str, offset: int) -> Mapping[str, object]:
        return await ask(agent, {"model": MODEL, "file": file, "offset": offset}, grant())

    files = BaseModelFiles(tmp_path / "service")
    await files.collect(DIGEST, "ag_liar", lie)
    lied = files.find(DIGEST)
    files.forget("ag_other")
    assert lied is not None and files.find(DIGEST) == lied
    files = BaseModelFiles(tmp_path / "service")
    files.forget("ag_liar")
    assert files.find(DIGEST) is None and files.wants(DIGEST) and not lied.exists()
    await files.collect(DIGEST, "ag_other", read)
    folder = files.find(DIGEST)
    assert folder is not None and folder != lied  # who remembers the folder reads this one
    ChatTokenizer(folder)


@pytest.mark.parametrize("file", ["model.safetensors", "../base/config.json", "nothing.json"])
async def test_nothing_else_has_a_name(file, agent):
    with pytest.raises(NotFoundError):
        await ask(agent, {"model": MODEL, "file": file, "offset": 0}, grant())


async def test_a_grant_for_another_model_is_refused(agent):
    body = {"model": MODEL, "file": "config.json", "offset": 0}
    for told in (grant("other"), grant(digest="sha256:" + "b" * 64)):
        with pytest.raises(RefusedError):
            await ask(agent, body, told)
    with pytest.raises(InvalidInputError):
        await ask(agent, body | {"path": "/etc"}, grant())


async def test_a_file_beyond_its_limit_is_not_handed_over(agent, base):
    (base / "config.json").write_bytes(b" " * (2 * 1024 * 1024))
    with pytest.raises(TooLargeError):
        await ask(agent, {"model": MODEL, "file": "config.json", "offset": 0}, grant())


@pytest.mark.parametrize(
    "answer",
    [
        {"bytes": 10, "data": ""},
        {"bytes": 1, "data": base64.b64encode(b"more").decode()},
        {"bytes": 2**40, "data": base64.b64encode(b"more").decode()},
        {"bytes": 4, "data": "no base64 !"},
        {"data": ""},
    ],
)
async def test_what_does_not_add_up_is_not_kept_and_asked_for_later(answer, tmp_path):
    moment = [0.0]
    files = BaseModelFiles(tmp_path / "service", lambda: moment[0])

    async def read(file: str, offset: int) -> Mapping[str, object]:
        return answer

    await files.collect(DIGEST, "ag_a", read)
    assert files.find(DIGEST) is None and not files.wants(DIGEST)
    assert list((tmp_path / "service").iterdir()) == []
    moment[0] = PAUSE_SECONDS
    assert files.wants(DIGEST)
