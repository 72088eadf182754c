"""The judge of stage grpo: a reward adapter beside the one that learns, on the same base model.

So a judge costs an adapter's memory, not a model's. It scores with the hidden state of the last
token, as it was trained to (see `rm`).

Shapes: B answers, T positions, D hidden.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from peft import LoraConfig, PeftModel, set_peft_model_state_dict
from torch import Tensor

from adaptery.adapter_folders import CONFIG_NAME, HEAD_NAME, WEIGHTS_NAME, inspect_adapter
from adaptery.errors import InvalidInputError
from adaptery.schemas.spec import RewardSpec
from adaptery_training.failures import DataIntegrityError, SpecRefusedError
from adaptery_training.plain_lora import ADAPTER_NAME

REWARD_FOLDER = "reward"


class Judge:
    """Scores answers."""

    def __init__(self, model: PeftModel, head: Tensor, pad_token_id: int, batch_size: int) -> None:
        self._model = model
        self._backbone: Any = model.get_base_model().base_model
        self._head = head  # [1, D]
        self._pad_token_id = pad_token_id
        self._batch_size = batch_size

    @torch.no_grad()
    def score(
        self, prompts: Sequence[Sequence[int]], completion_ids: Sequence[Sequence[int]], **_: object
    ) -> list[float]:
        """Return the score of each answer to its prompt; trl calls this with more than it needs."""
        rows = [[*asked, *answer] for asked, answer in zip(prompts, completion_ids, strict=True)]
        scores: list[float] = []
        with _judging(self._model):
            for start in range(0, len(rows), self._batch_size):
                scores += self._score_batch(rows[start : start + self._batch_size])
        return scores

    def _score_batch(self, rows: Sequence[Sequence[int]]) -> list[float]:
        device = self._model.device
        lengths = torch.tensor([len(row) for row in rows], device=device)
        width = int(lengths.max())
        padded = [[*row, *[self._pad_token_id] * (width - len(row))] for row in rows]
        input_ids = torch.tensor(padded, device=device)  # [B, T]
        mask = (torch.arange(width, device=device) < lengths[:, None]).long()  # [B, T]
        hidden = self._backbone(input_ids, attention_mask=mask, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(rows), device=device), lengths - 1]  # [B, D]
        return (last.float() @ self._head.to(device).T).squeeze(-1).tolist()


def load_judge(
    model: PeftModel, work_folder: Path, wanted: RewardSpec, *, pad_token_id: int, batch_size: int
) -> Judge:
    """Put the reward adapter of `reward/` beside the one that learns.

    Raises:
        DataIntegrityError: it is not the adapter that the spec names.
        SpecRefusedError: it scores no answers, or was trained on another base model.
    """
    folder = work_folder / REWARD_FOLDER
    try:
        info = inspect_adapter(folder)
    except (InvalidInputError, OSError) as error:
        raise DataIntegrityError(
            f"The reward adapter cannot be read ({type(error).__name__})."
        ) from None
    if info.weight_digest != wanted.weight_digest:
        raise DataIntegrityError("The reward adapter is not the one that the job names.")
    if info.kind != "reward":
        raise SpecRefusedError(
            "reward: the adapter writes answers and scores none.",
            remedy="Choose one that a job of stage rm made.",
        )
    weights = safetensors.torch.load_file(folder / WEIGHTS_NAME)
    head = weights.pop(HEAD_NAME).float()
    try:
        model.add_adapter(REWARD_FOLDER, _plain_config(folder))
        set_peft_model_state_dict(model, weights, adapter_name=REWARD_FOLDER)
    except (ValueError, RuntimeError):
        raise _of_another_base() from None
    if head.shape[1] != model.config.get_text_config().hidden_size:
        raise _of_another_base()
    return Judge(model, head, pad_token_id, batch_size)


def _plain_config(folder: Path) -> LoraConfig:
    """Return the config of the adapter without its head, which the model has no place for."""
    said = json.loads((folder / CONFIG_NAME).read_bytes())
    return LoraConfig(
        r=said["r"],
        lora_alpha=said["lora_alpha"],
        target_modules=said["target_modules"],
        rank_pattern=said.get("rank_pattern") or {},
        alpha_pattern=said.get("alpha_pattern") or {},
        use_rslora=bool(said.get("use_rslora")),
        inference_mode=True,
        task_type="CAUSAL_LM",
    )


def _of_another_base() -> SpecRefusedError:
    return SpecRefusedError(
        "reward: the adapter does not fit this base model.",
        remedy="Choose one that was trained on the same base model.",
    )


@contextmanager
def _judging(model: PeftModel) -> Iterator[None]:
    """Let the reward adapter be the one that computes, without dropout."""
    training = model.training
    model.set_adapter(REWARD_FOLDER)
    model.eval()
    try:
        yield
    finally:
        model.set_adapter(ADAPTER_NAME)
        model.train(training)
