"""What a pre-flight tells is what a worker does: the same steps, the same first batch."""

from pathlib import Path

import pytest

from adaptery.examples import ChatTokenizer
from adaptery.records import Record
from adaptery_hub.preflight import CountInput, CountOrder, find_first_batch
from adaptery_hub.preflight.counting import count
from support.training_runs import job_spec, train
from support.version_folders import write_version
from tiny import tiny_records


@pytest.fixture(scope="module")
def shard(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("version") / "0"
    write_version(folder, [Record.from_dict(record) for record in tiny_records()])
    return next(folder.glob("*.parquet"))


@pytest.mark.parametrize(
    ("optim", "held_out"),
    [
        ({"batching": "grouped", "gradient_accumulation": 2}, 3),
        ({"batching": "packed", "cutoff_len": 256, "batch_size": 2}, 0),
        pytest.param({"batching": "shuffled", "max_samples": 9}, 0, marks=pytest.mark.slow),
    ],
)
def test_steps_and_the_first_batch_are_those_of_the_worker(base, shard, tmp_path, optim, held_out):
    wanted = {"epochs": 1.5, "max_steps": None, **optim}
    spec = job_spec(wanted, eval={"val_size": held_out})
    inputs = (CountInput({"data-00000.parquet": shard}, "@demo/visits@1", "all", 20),)
    order = CountOrder(inputs, spec, base)
    told, batch = count(lambda *_: None, order), find_first_batch(lambda *_: None, order)

    run = train(base, tmp_path, spec, stop_after=1)
    assert (told.steps, told.held_out) == (run.trainer.total_steps, held_out)
    trained = next(iter(run.trainer.get_train_dataloader()))
    tokenizer = ChatTokenizer(base)
    texts, learnt = [], []
    for ids, mask, weights in zip(
        trained["input_ids"], trained["attention_mask"], trained["weights"], strict=True
    ):
        kept = mask.bool()
        texts.append(tokenizer.decode(ids[kept].tolist(), special=True))
        learnt.append(tokenizer.decode(ids[kept & (weights > 0)].tolist(), special=True))
    if optim["batching"] == "packed":
        assert "".join(token.text for row in batch for token in row.tokens) == "".join(texts)
    else:
        assert ["".join(token.text for token in row.tokens) for row in batch] == texts
        assert [
            "".join(token.text for token in row.tokens if token.weight) for row in batch
        ] == learnt
