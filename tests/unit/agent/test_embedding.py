"""The agent's answers to embedding requests, with a small embedder that is a real process."""

import asyncio
import base64
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from adaptery.errors import (
    IntegrityError,
    InvalidInputError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from adaptery_network.agent.base_models import EmbeddingModel, EmbeddingModels
from adaptery_network.agent.embedding import GROUP_TEXTS, EmbedderSeat, EmbeddingServer
from adaptery_network.agent.engine import ENGINE_MARK, Engine, EngineTiming
from adaptery_network.agent.heartbeats import embedder_document
from adaptery_network.agent.processes import find_marked
from support.agent_side import program
from support.agent_side.orders import make_grant
from support.embedders import vector_of
from support.waiting import eventually

DIGEST = "sha256:" + "e" * 64
QUICK = EngineTiming(
    start_seconds=20, ready_poll_seconds=0.02, health_seconds=0.05, backoff_first_seconds=0.02
)


class Table:
    """One embedder and what answers for it."""

    def __init__(self, root: Path) -> None:
        model = root / "model"
        model.mkdir()
        (model / "embedding_model.json").write_text("{}")
        self.folder = root / "engine"
        self.folder.mkdir()
        self.model = EmbeddingModel("tiny", DIGEST, model, dimensions=4, max_tokens=8)
        self.engine = Engine(
            self.model,
            folder=self.folder,
            command=program("embedder"),
            threads=1,
            timing=QUICK,
        )
        self.server = EmbeddingServer(self.find_seat)

    def find_seat(self, name, digest):
        if (name, digest) != ("tiny", DIGEST):
            raise NotFoundError
        return EmbedderSeat(self.model, self.engine)

    def answer(self, texts, grant=None, name="tiny", digest=DIGEST):
        body = {"model": {"name": name, "weight_digest": digest}, "input": list(texts)}
        return self.server.answer(grant or make_grant(name, "embed", digest), body)

    async def ask(self, texts, **options):
        return [item async for item in self.answer(texts, **options)]

    def notes(self) -> list[str]:
        path = self.folder / "embedder-events"
        return path.read_text().splitlines() if path.exists() else []


@asynccontextmanager
async def set_table(root):
    table = Table(root)
    try:
        yield table
    finally:
        await table.engine.stop()
        assert not find_marked({ENGINE_MARK: str(table.folder)})


def vectors_in(items):
    found = []
    for kind, value in items:
        if kind == "data":
            assert value["start"] == len(found)
            raw = base64.b64decode(value["vectors"])
            found += [raw[place : place + 16] for place in range(0, len(raw), 16)]
    return found


async def test_it_starts_at_the_first_question_and_answers_in_order(tmp_path):
    texts = [f"text {n}" for n in range(2 * GROUP_TEXTS + 5)]
    async with set_table(tmp_path) as table:
        assert table.engine.state == "stopped" and not table.notes()
        items = await table.ask(texts)
        assert vectors_in(items) == [vector_of(text) for text in texts]
        assert items[-1] == ("usage", {"prompt_tokens": 2 * len(texts), "truncated": 0})
        assert table.notes()[1:] == [
            f"texts {count} fields ['encoding_format', 'input']"
            for count in (GROUP_TEXTS, GROUP_TEXTS, 5)
        ]


async def test_texts_that_are_cut_short_are_counted(tmp_path):
    async with set_table(tmp_path) as table:
        items = await table.ask(["one two", "w " * 20])
    assert items[-1] == ("usage", {"prompt_tokens": 2 + 8, "truncated": 1})


async def test_an_embedder_that_dies_is_asked_again_when_it_is_back(tmp_path):
    async with set_table(tmp_path) as table:
        assert vectors_in(await table.ask(["a", "die"])) == [vector_of("a"), vector_of("die")]
        assert table.engine.generation == 2
        with pytest.raises(UnavailableError):
            await table.ask(["always die"])
        assert vectors_in(await table.ask(["a"])) == [vector_of("a")], "it is back for others"


@pytest.mark.parametrize("text", ["short", "narrow"])
async def test_an_answer_that_is_not_whole_is_an_error(tmp_path, text):
    async with set_table(tmp_path) as table:
        with pytest.raises(IntegrityError, match="one whole vector for each text"):
            await table.ask(["a", text])


async def test_a_caller_who_leaves_ends_the_request(tmp_path):
    async with set_table(tmp_path) as table:
        await table.ask(["warm"])
        async with aclosing(table.answer([*["a"] * GROUP_TEXTS, "wait"])) as items:
            async for kind, _ in items:
                assert kind == "data"
                break
        assert len(table.notes()) == 3, "what nobody waits for is not asked"


async def test_a_grant_for_anything_else_is_refused(tmp_path):
    async with set_table(tmp_path) as table:
        wrong = "sha256:" + "0" * 64
        for grant, reason in (
            (make_grant("other", "embed", DIGEST), "thing"),
            (make_grant("tiny", "embed", wrong), "weights"),
            (make_grant("tiny", "embed"), "weights"),
        ):
            with pytest.raises(RefusedError) as refused:
                await table.ask(["a"], grant=grant)
            assert refused.value.reason == reason
        with pytest.raises(NotFoundError):
            await table.ask(["a"], digest=wrong)
        assert table.engine.state == "stopped"


@pytest.mark.parametrize("texts", [[], [""], ["a"] * 2049, ["x" * 131_073], [3]])
async def test_what_the_service_never_sends_is_refused(tmp_path, texts):
    async with set_table(tmp_path) as table:
        with pytest.raises(InvalidInputError):
            await table.ask(texts)


async def test_a_model_is_converted_once_and_told_in_heartbeats(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    models = EmbeddingModels(
        {"org/embedder": str(source)}, tmp_path / "models", program("convert_embedder"), 1
    )
    await models.prepare()
    await models.prepare()
    (model,) = models.ready
    assert model == models.find("org/embedder", DIGEST)
    engine = Engine(model, folder=tmp_path, command=program("embedder"), threads=1, timing=QUICK)
    assert embedder_document(EmbedderSeat(model, engine)) == {
        "name": "org/embedder",
        "weight_digest": DIGEST,
        "dimensions": 4,
        "max_tokens": 8,
        "state": "stopped",
        "running": 0,
    }


async def test_a_reader_who_leaves_in_the_middle_closes_the_connection(tmp_path):
    async with set_table(tmp_path) as table:
        await table.ask(["warm"])
        asking = asyncio.create_task(table.ask(["wait"]))
        await eventually(lambda: len(table.notes()) == 3)
        asking.cancel()
        await eventually(lambda: table.notes()[-1] == "reader left")
