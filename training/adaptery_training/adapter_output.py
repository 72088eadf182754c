"""Writes the result of a job: the folder `adapter/`, which plain PEFT loads.

`adapter_config.json` and `adapter_model.safetensors` are PEFT's format; `README.md` is a model card
for people, `card.json` the same for programs: base model with the digest of its weights, dataset
versions with their content digests, the job's options, and the Trainer's summary.

Invariants:

1. The folder appears whole, by a rename, after everything in it is on disk.
2. No path of this machine, no fencing token and no text of a record is in it.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from adaptery.adapter_folders import AdapterInfo, inspect_adapter
from adaptery.examples import held_out_inputs
from adaptery.files import rename_atomic
from adaptery.schemas.events import Evaluation
from adaptery.schemas.spec import InputSpec, JobSpec, Stage
from adaptery.times import Clock, now, to_text

if TYPE_CHECKING:
    from adaptery_training.plain_lora import PlainLora

ADAPTER_FOLDER = "adapter"
CARD_VERSION = 1
_LIBRARIES = ("adaptery", "torch", "transformers", "peft", "trl")
_MADE_BY: Mapping[Stage, str] = {
    "pt": "made by continued pre-training",
    "sft": "made by supervised fine-tuning",
    "rm": "made by reward modelling: it scores answers and writes none. Load it onto "
    "`AutoModelForSequenceClassification` with `num_labels=1`",
    "dpo": "made by direct preference optimisation",
    "kto": "made by Kahneman-Tversky optimisation",
    "grpo": "made by group relative policy optimisation with a reward adapter as the judge",
}
#: What of a spec belongs to one attempt, not to the adapter.
_PRIVATE_FIELDS = frozenset({"fencing_token", "limits", "resume_from"})


def write_adapter(
    work_folder: Path,
    plain: PlainLora,
    spec: JobSpec,
    summary: Mapping[str, float],
    evaluation: Evaluation | None,
    *,
    precision: str,
    clock: Clock = now,
) -> AdapterInfo:
    """Write `adapter/` in one step and return what it is.

    Raises:
        OSError: the files cannot be written; nothing half written stays.
    """
    target, temporary = work_folder / ADAPTER_FOLDER, work_folder / ".adapter.tmp"
    shutil.rmtree(temporary, ignore_errors=True)  # of an attempt that was killed
    try:
        plain.save(temporary, plain.trained())
        info = inspect_adapter(temporary)
        card = _card(spec, summary, info, precision, to_text(clock()))
        if evaluation is not None:
            card["evaluation"] = evaluation.model_dump(mode="json", exclude_none=True)
        (temporary / "card.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
        readme = _readme(spec, summary, info, evaluation)
        (temporary / "README.md").write_text(readme, encoding="utf-8")
        if target.exists():  # the same work folder, trained again
            shutil.rmtree(target)
        rename_atomic(temporary, target)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return info


def _card(
    spec: JobSpec, summary: Mapping[str, float], info: AdapterInfo, precision: str, at: str
) -> dict[str, object]:
    return {
        "card_version": CARD_VERSION,
        "created_at": at,
        "job": spec.job,
        "attempt": spec.attempt,
        "stage": spec.stage,
        "base_model": spec.base_model.model_dump(mode="json"),
        "datasets": [entry.model_dump(mode="json", exclude_none=True) for entry in spec.inputs],
        "adapter": {
            "weight_digest": info.weight_digest,
            "rank": info.rank,
            "alpha": info.alpha,
            "targets": list(info.targets),
        },
        "spec": spec.model_dump(mode="json", exclude=set(_PRIVATE_FIELDS), exclude_none=True),
        "precision": precision,
        "summary": dict(summary),
        "libraries": {name: _version(name) for name in _LIBRARIES},
    }


def _named(entry: InputSpec) -> list[tuple[str, str]]:
    sources = [(f"merged into {entry.version}", digest) for digest in entry.sources or ()]
    return [(entry.version, entry.content_digest), *sources]


def _datasets(inputs: Sequence[InputSpec]) -> str:
    rows = [f"| `{version}` | `{digest}` |" for one in inputs for version, digest in _named(one)]
    return "\n".join(["| dataset version | content digest |", "|---|---|", *rows, ""])


def _held_out(inputs: Sequence[InputSpec]) -> str:
    return f"## Held out\n\n{_datasets(inputs)}" if inputs else ""


def _readme(
    spec: JobSpec, summary: Mapping[str, float], info: AdapterInfo, evaluation: Evaluation | None
) -> str:
    kept = held_out_inputs(spec.inputs)
    learnt = [entry for place, entry in enumerate(spec.inputs) if place not in kept]
    is_judge = info.kind == "reward"
    auto = "AutoModelForSequenceClassification" if is_judge else "AutoModelForCausalLM"
    labels = ", num_labels=1" if is_judge else ""
    return f"""---
library_name: peft
base_model: {json.dumps(spec.base_model.name)}
pipeline_tag: {"text-classification" if is_judge else "text-generation"}
tags: [lora, {spec.stage}, adaptery]
---

# LoRA adapter of job {spec.job}

An adapter of rank {info.rank} for **{spec.base_model.name}**, {_MADE_BY[spec.stage]}.
It fits the base weights with this digest and no others:

`{spec.base_model.weight_digest}`

They lie in the models folder of each agent that offers {spec.base_model.name}; whoever runs the Hub
can tell where. In plain PEFT:

```python
from peft import PeftModel
from transformers import {auto}

base = {auto}.from_pretrained("folder of the base model"{labels})
model = PeftModel.from_pretrained(base, "folder of this adapter")
```

## Trained on

{_datasets(learnt)}
{_held_out([spec.inputs[place] for place in sorted(kept)])}
## How

| | |
|---|---|
{_table(spec, summary)}

{_evaluated(evaluation)}
`card.json` holds the same for programs.
"""


def _evaluated(evaluation: Evaluation | None) -> str:
    if evaluation is None:
        return "It was not evaluated.\n"
    base, adapter = evaluation.base, evaluation.adapter
    rows = [("loss on the answers", base.loss, adapter.loss)]
    if base.rouge_l is not None and adapter.rouge_l is not None:
        rows.append(("ROUGE-L (F1)", base.rouge_l, adapter.rouge_l))
    if base.exact_match is not None and adapter.exact_match is not None:
        rows.append(("exact match", base.exact_match, adapter.exact_match))
    lines = "\n".join(f"| {name} | {one:.4f} | {other:.4f} |" for name, one, other in rows)
    return f"""## Evaluation

On {evaluation.examples} examples that were held out:

| | base model | adapter |
|---|---|---|
{lines}
"""


def _table(spec: JobSpec, summary: Mapping[str, float]) -> str:
    """Return what a reader wants to know first; every option is in the card."""
    lora, optim = spec.lora, spec.optim
    rows = [
        ("trained as", f"{lora.kind}, start {lora.init}"),
        ("rank, alpha, dropout", f"{lora.rank}, {lora.alpha:g}, {lora.dropout:g}"),
        ("targets", "all" if "all" in lora.targets else ", ".join(lora.targets)),
        ("learning rate, schedule", f"{optim.learning_rate:g}, {optim.scheduler}"),
        ("batch size x accumulation", f"{optim.batch_size} x {optim.gradient_accumulation}"),
        ("cut-off", f"{optim.cutoff_len} tokens"),
        ("seed", f"{optim.seed}"),
        ("epochs done", f"{summary['epoch']:.2f}"),
        ("mean training loss", f"{summary['train_loss']:.4f}"),
        ("training time", f"{summary['train_runtime']:.0f} s"),
    ]
    if spec.start_from is not None:
        rows.insert(0, ("goes on from", spec.start_from.name))
    if "eval_loss" in summary:
        best = f"{summary['eval_loss']:.4f}, after step {summary['best_step']:.0f}"
        rows.append(("best held out loss", best))
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:  # adaptery itself, run from a source tree
        return "unknown"
