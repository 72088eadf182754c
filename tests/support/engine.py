"""An engine without a server, and PEFT beside it as the truth."""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from adaptery.base_models import BaseModelInfo, weight_digest, write_base_model
from adaptery_inference.build import BuiltEngine
from adaptery_inference.engine import (
    Adapter,
    Chunk,
    GrammarSource,
    IncrementalText,
    Prompt,
    SamplingParams,
)
from adaptery_inference.engine import Sequence as Row
from adaptery_inference.layers.lora import AdapterWeights
from tiny import build_tiny_adapter

BASE_NAME = "tiny/base"
#: fp32 sums in another order differ in the last bits; a wrong factor differs by far more.
TOLERANCE = 2e-4


def named(folder: Path) -> Path:
    """Make a model's folder that of a converted base model."""
    info = BaseModelInfo(name=BASE_NAME, weight_digest=weight_digest(folder), source="built")
    write_base_model(folder, info)
    return folder


def build_adapters(root: Path, base: Path) -> dict[str, Path]:
    """Adapters that differ in all that PEFT lets differ."""
    return {
        "plain": build_tiny_adapter(root / "plain", base, 4, 1),
        "part": build_tiny_adapter(
            root / "part", base, 8, 2, targets=("q_proj", "v_proj", "down_proj"), use_rslora=True
        ),
        "patterns": build_tiny_adapter(
            root / "patterns",
            base,
            16,
            3,
            rank_pattern={"k_proj": 2, r"layers\.1\..*up_proj": 5},
            alpha_pattern={"o_proj": 3},
        ),
    }


class Reference:
    """What transformers and PEFT answer."""

    def __init__(self, base: Path, adapters: Mapping[str, Path]) -> None:
        self._base = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32).eval()
        self._adapted: dict[str, PeftModel] = {}
        for name, folder in adapters.items():
            model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
            with warnings.catch_warnings():
                # peft 0.21 asks transformers 5.23 by an old name; nothing that we could change.
                warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
                self._adapted[name] = PeftModel.from_pretrained(model, folder).eval()

    @torch.inference_mode()
    def logits(self, tokens: Sequence[int], adapter: str | None = None) -> torch.Tensor:
        """Logits after the last token, [V]."""
        model = self._adapted[adapter] if adapter else self._base
        return model(input_ids=torch.tensor([list(tokens)])).logits[0, -1]

    def greedy(self, tokens: Sequence[int], count: int, adapter: str | None = None) -> list[int]:
        """The most likely next tokens, computed without a cache."""
        grown = list(tokens)
        for _ in range(count):
            grown.append(int(self.logits(grown, adapter).argmax()))
        return grown[len(tokens) :]


@dataclass
class TinyEngine:
    """Steps an engine by hand."""

    built: BuiltEngine
    folders: Mapping[str, Path]
    rows: dict[str, Row] = field(default_factory=dict)

    def register(self, name: str, folder: Path | None = None) -> Adapter:
        """Load an adapter under a name."""
        adapter, weights = self.built.reader.open(folder or self.folders[name])
        self.built.engine.register(name, adapter, weights)
        return adapter

    def logits(self, rows: Sequence[tuple[Sequence[int], str | None]]) -> list[torch.Tensor]:
        """Logits after each row's last token, all rows in one forward pass."""
        weights: dict[str, AdapterWeights] = {}
        chunks: list[Chunk] = []
        blocks = self.built.engine.scheduler.blocks
        for number, (tokens, name) in enumerate(rows):
            adapter = None
            if name:
                adapter, weight = self.built.reader.open(self.folders[name])
                weights[adapter.digest] = weight
            row = Row(
                str(number),
                list(tokens),
                SamplingParams(),
                1,
                IncrementalText(self.built.tokenizer.decode),
                adapter,
            )
            row.blocks = blocks.allocate(blocks.blocks_for(len(tokens))) or []
            chunks.append(Chunk(row, 0, len(tokens), samples=True))
        ordered = self.built.batcher.order(chunks)
        found = self.built.runner.logits(ordered, weights)
        for chunk in chunks:
            blocks.release(chunk.sequence.blocks)
        return [found[ordered.index(chunk)] for chunk in chunks]

    def add(
        self, row: str, tokens: Sequence[int], adapter: str | None = None, count: int = 20
    ) -> None:
        """Queue a greedy row."""
        chosen = self.built.engine.adapters.find(adapter) if adapter else None
        assert adapter is None or chosen is not None
        params = SamplingParams(max_tokens=count, temperature=0, ignore_eos=True)
        self.built.engine.add([Prompt(list(tokens), {row: params})], chosen)
        self.rows[row] = self.built.engine.scheduler.waiting[-1]

    def step(self) -> None:
        """One step; adapters that are wanted are read at once."""
        engine = self.built.engine
        wanted: list[Adapter] = []
        engine.step(wanted.append)
        for adapter in wanted:
            engine.finish_load(adapter, self.built.reader.read(adapter))
        engine.scheduler.check_integrity()

    def finish(self) -> None:
        """Step until nothing is left."""
        while self.built.engine.has_work:
            self.step()

    def answer(self, row: str) -> list[int]:
        """The tokens that were generated."""
        found = self.rows[row]
        return found.tokens[found.prompt_tokens :]


def check_rows_that_join_and_leave(
    engine: TinyEngine, reference: "Reference", prompt: Sequence[int]
) -> None:
    """Let rows of several adapters begin and end at other times; each answers as if alone."""
    plan = [
        ("first", prompt, "plain", 30),
        ("base", prompt[:5], None, 12),
        ("other", [*prompt] * 4, "part", 9),
        ("late", prompt[3:], "patterns", 20),
        ("again", prompt[:9], "plain", 5),
    ]
    for name, tokens, adapter, count in plan:
        engine.add(name, tokens, adapter, count)
        for _ in range(4):
            engine.step()
    engine.finish()
    for name, tokens, adapter, count in plan:
        assert engine.answer(name) == reference.greedy(tokens, count, adapter), name


def json_grammar(schema: object) -> GrammarSource:
    """Return the grammar of answers that a request asks for by a JSON schema."""
    from adaptery_inference.server.forms import answer_grammar
    from adaptery_inference.server.requests import ChatGeneration

    body = {
        "messages": [{"role": "user", "content": ""}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
    }
    found = answer_grammar(ChatGeneration.model_validate(body).response_format)
    assert found is not None
    return found
