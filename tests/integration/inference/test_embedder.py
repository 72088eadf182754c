"""The embedder: the same vectors as sentence-transformers, whatever is asked at once."""

import asyncio
import json
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from adaptery.embedding_models import (
    EMBEDDING_MODEL_NAME,
    EmbeddingModelInfo,
    embedding_digest,
    read_embedding_model,
)
from adaptery.errors import AdapteryError, ConflictError, InvalidInputError, NotFoundError
from adaptery_inference.config import ConvertEmbedderConfig
from adaptery_inference.embedder.convert import convert_embedder
from adaptery_inference.embedder.embedder import Embedder
from adaptery_inference.embedder.main import make_app
from adaptery_inference.embedder.model import EmbeddingModel
from tiny.embedders import EMBEDDER_DIMENSIONS, EMBEDDER_TOKENS, build_tiny_embedder

NAME = "tiny/embedder"
TOKEN = "secret"
#: Shorter, longer, equal, unknown letters, other scripts, blank, and far over the limit.
TEXTS = [
    "a",
    "abc def",
    "abc def",
    "Ω ≠ §",
    "日本語 text",
    " ",
    "word " * 200,
    "b" * 99,
    "x1 y2 z3",
]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny_embedder(tmp_path_factory.mktemp("embedder") / "source")


@pytest.fixture(scope="module")
def folder(source: Path) -> Path:
    out = source.with_name("converted")
    convert_embedder(ConvertEmbedderConfig(source=str(source), name=NAME, out=out))
    return out


@pytest.fixture(scope="module")
def reference(source: Path) -> SentenceTransformer:
    return SentenceTransformer(str(source), device="cpu", local_files_only=True)


@pytest.fixture(scope="module")
def model(folder: Path) -> EmbeddingModel:
    return EmbeddingModel.load(folder)


@asynccontextmanager
async def serve(model: EmbeddingModel, folder: Path) -> AsyncIterator[httpx.AsyncClient]:
    embedder = Embedder(model, batch_tokens=64)
    server = HTTPServer(make_app(embedder, read_embedding_model(folder), TOKEN))
    socket, port = bind_unused_port()
    server.add_socket(socket)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            yield client
    finally:
        server.stop()
        await server.close_all_connections()
        await asyncio.to_thread(embedder.close)


async def ask(client: httpx.AsyncClient, texts: Sequence[str]) -> np.ndarray:
    answer = await client.post("/v1/embeddings", json={"input": list(texts)})
    return np.array([entry["embedding"] for entry in answer.json()["data"]], dtype="f4")


# -- vectors ------------------------------------------------------------------------------------


async def test_vectors_are_those_of_sentence_transformers(
    model: EmbeddingModel, folder: Path, reference: SentenceTransformer
) -> None:
    expected = reference.encode(TEXTS)
    async with serve(model, folder) as client:
        together = await ask(client, TEXTS)
        alone = np.concatenate([await ask(client, [text]) for text in TEXTS])
        many = await ask(client, TEXTS * 50)
    assert expected.shape == (len(TEXTS), EMBEDDER_DIMENSIONS)
    for found in (together, alone, many.reshape(50, len(TEXTS), -1).mean(axis=0)):
        assert np.abs(found - expected).max() < 1e-5
    assert np.abs(expected[0] - expected[1]).max() > 0.01, "the model tells texts apart"


async def test_usage_counts_what_is_read_and_says_what_is_not(
    model: EmbeddingModel, folder: Path
) -> None:
    async with serve(model, folder) as client:
        answer = await client.post("/v1/embeddings", json={"input": ["ab c", "ab " * 50]})
    said = answer.json()
    first = 2 + 3  # [CLS] a ##b c [SEP]
    assert said["usage"]["prompt_tokens"] == first + EMBEDDER_TOKENS
    assert said["truncated_texts"] == 1


async def test_a_dense_layer_is_part_of_the_model(tmp_path: Path) -> None:
    source = build_tiny_embedder(tmp_path / "source", dense=10)
    config = ConvertEmbedderConfig(source=str(source), name=NAME, out=tmp_path / "out")
    info = convert_embedder(config)
    assert info.dimensions == 10
    found = EmbeddingModel.load(tmp_path / "out").encode(["abc"])
    expected = SentenceTransformer(str(source), device="cpu").encode(["abc"])
    assert np.abs(found - expected).max() < 1e-5


async def test_requests_take_turns(model: EmbeddingModel) -> None:
    ended: list[str] = []
    embedder = Embedder(model, batch_tokens=EMBEDDER_TOKENS)  # a text a batch

    async def embed(name: str, count: int) -> None:
        assert len((await embedder.embed(["word " * 20] * count)).vectors) == count
        ended.append(name)

    await asyncio.gather(embed("long", 60), embed("short", 3))
    embedder.close()
    assert ended == ["short", "long"]


async def test_a_request_that_is_left_computes_no_further_batch(folder: Path) -> None:
    class Counting(EmbeddingModel):
        batches = 0

        def encode(self, texts: Sequence[str]) -> np.ndarray:
            self.batches += 1
            if self.batches == 3:
                loop.call_soon_threadsafe(asking.cancel)
            return super().encode(texts)

    loop, model = asyncio.get_running_loop(), Counting.load(folder)
    assert isinstance(model, Counting)
    embedder = Embedder(model, batch_tokens=EMBEDDER_TOKENS)
    asking = asyncio.create_task(embedder.embed(["word " * 20] * 500))
    with pytest.raises(asyncio.CancelledError):
        await asking
    embedder.close()
    assert model.batches <= 4 and embedder.running == 0


# -- the server ---------------------------------------------------------------------------------


async def test_nothing_is_told_without_the_token(model: EmbeddingModel, folder: Path) -> None:
    async with serve(model, folder) as client:
        for path in ("/v1/embeddings", "/v1/load", "/v1/models", "/nowhere"):
            for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}):
                assert (await client.get(path, headers=headers)).status_code == 401
        assert (await client.get("/health", headers={"Authorization": ""})).status_code == 200
        assert (await client.get("/v1/load")).json()["running"] == 0
        assert (await client.get("/v1/models")).json()["data"][0]["id"] == NAME
        assert (await client.get("/nowhere")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"input": [[1, 2]]}, 422),
        ({"input": "x", "model": "other"}, 404),
        ({"input": "x", "dimensions": 3}, 400),
        ({}, 400),
        ([], 400),
    ],
)
async def test_a_wrong_request_is_refused_in_openais_shape(
    model: EmbeddingModel, folder: Path, body: object, status: int
) -> None:
    async with serve(model, folder) as client:
        answer = await client.post("/v1/embeddings", json=body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


# -- the folder ---------------------------------------------------------------------------------


def test_a_converted_folder_says_what_it_is_and_holds_nothing_else(
    source: Path, folder: Path
) -> None:
    info = read_embedding_model(folder)
    assert info == EmbeddingModelInfo(
        name=NAME,
        weight_digest=embedding_digest(source),
        source=str(source),
        dimensions=EMBEDDER_DIMENSIONS,
        max_tokens=EMBEDDER_TOKENS,
    )
    assert not list(folder.glob("*.md"))
    again = ConvertEmbedderConfig(source="/nowhere", name=NAME, out=folder)
    assert convert_embedder(again) == info, "it is done once"
    with pytest.raises(ConflictError):
        convert_embedder(ConvertEmbedderConfig(source=str(source), name="other", out=folder))


@pytest.mark.parametrize("name", ["model.safetensors", "sentence_bert_config.json"])
def test_the_digest_covers_what_decides_a_vector(source: Path, tmp_path: Path, name: str) -> None:
    changed = Path(shutil.copytree(source, tmp_path / "changed"))
    (changed / "README.md").write_text("something else")
    assert embedding_digest(changed) == embedding_digest(source)
    (changed / name).write_bytes((changed / name).read_bytes() + b" ")
    assert embedding_digest(changed) != embedding_digest(source)


@pytest.mark.parametrize(
    ("modules", "word"),
    [
        ([{"path": "", "type": "os.system"}], "not offered"),
        ([{"path": "", "type": "sentence_transformers.util.Anything"}], "not offered"),
        ([{"path": "../..", "type": "sentence_transformers.models.Pooling"}], "outside"),
        ([{"path": "/etc", "type": "sentence_transformers.models.Pooling"}], "outside"),
        ({}, "not a list"),
    ],
)
def test_a_folder_that_names_other_code_or_places_is_refused(
    source: Path, tmp_path: Path, modules: object, word: str
) -> None:
    changed = Path(shutil.copytree(source, tmp_path / "changed"))
    (changed / "modules.json").write_text(json.dumps(modules))
    config = ConvertEmbedderConfig(source=str(changed), name=NAME, out=tmp_path / "out")
    with pytest.raises(InvalidInputError, match=word):
        convert_embedder(config)
    assert not (tmp_path / "out").exists()


def test_pickles_and_folders_that_are_none_are_refused(source: Path, tmp_path: Path) -> None:
    pickled = Path(shutil.copytree(source, tmp_path / "pickled"))
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    wrong: dict[str, type[AdapteryError]] = {
        str(pickled): InvalidInputError,
        str(tmp_path): InvalidInputError,
        str(tmp_path / "nowhere"): NotFoundError,
        "hf:no/such": NotFoundError,
        "hf:no such": InvalidInputError,
    }
    for place, kind in wrong.items():
        config = ConvertEmbedderConfig(source=place, name=NAME, out=tmp_path / "out")
        with pytest.raises(kind):
            convert_embedder(config)
    assert not (tmp_path / "out").exists()
    with pytest.raises(NotFoundError, match="convert-embedder"):
        read_embedding_model(tmp_path)
    assert EMBEDDING_MODEL_NAME not in {path.name for path in tmp_path.iterdir()}
