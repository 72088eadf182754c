"""The PEFT adapter folder: the file format at which training and inference meet.

For: checking a folder before it is registered or loaded, and naming it by a digest. Not for loading
it.

What always holds:
- A folder that passes holds safetensors and text only: no pickle, no links, no folders, no unknown
  files.
- It is plain LoRA: no DoRA, no bias, no whole modules, no token rows; each A has its B, with
  fitting shapes. A reward adapter, of stage rm, has its head besides: one row that turns the last
  hidden state into a score. PEFT keeps it among the weights of a sequence classifier, so plain PEFT
  loads it too; the base model has no such head, so it can only judge answers, never write one.
- It touches something: at least one B is not all zeros.
- It cannot hold up or exhaust its reader: numbers are finite, patterns match fast, and headers
  and files have limits.
- The digest covers the tensors and the numbers that scale them; two adapters with the same digest
  compute the same, so an engine may use it as identity.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias, cast

from adaptery.canonical import CanonicalError
from adaptery.errors import InvalidInputError
from adaptery.manifests import MANIFEST_NAME
from adaptery.tensor_files import HashedTensor, hash_tensors, tensors_digest

__all__ = [
    "CONFIG_NAME",
    "HEAD_NAME",
    "RANK_LIMIT",
    "WEIGHTS_NAME",
    "AdapterInfo",
    "AdapterKind",
    "inspect_adapter",
    "inspect_weights",
]

#: What an adapter makes of its base model: one that answers, or one that scores answers.
AdapterKind: TypeAlias = Literal["chat", "reward"]

CONFIG_NAME = "adapter_config.json"
WEIGHTS_NAME = "adapter_model.safetensors"
RANK_LIMIT = 256
CONFIG_LIMIT_BYTES = 1024 * 1024
#: Of a file beside the weights. A card is a page of JSON.
BESIDE_LIMIT_BYTES = 4 * 1024 * 1024
#: Of the header of the weights: some 200 bytes for each of the matrices of the largest models.
HEADER_LIMIT_BYTES = 16 * 1024 * 1024
#: Files that may lie beside the weights; an engine reads none of them.
_BESIDE = frozenset({"README.md", "card.json", MANIFEST_NAME, CONFIG_NAME, WEIGHTS_NAME})
_DTYPES = frozenset({"F32", "F16", "BF16"})
#: The head of a reward adapter: [1, hidden].
HEAD_NAME = "base_model.model.score.weight"
_TENSOR = re.compile(r"(base_model\.model\.[\w.]+)\.lora_([AB])(?:\.default)?\.weight", re.ASCII)

#: Settings of PEFT that mean more than plain LoRA, with the only values that are taken.
#: Source: peft 0.21, LoraConfig.
_PLAIN: Mapping[str, Sequence[object]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "use_dora": (False, None),
    "lora_bias": (False, None),
    "modules_to_save": (None, []),
    "layer_replication": (None, []),
    "trainable_token_indices": (None, [], {}),
    "target_parameters": (None, []),
    "use_qalora": (False, None),
    "alora_invocation_tokens": (None, []),
    "arrow_config": (None,),
    "megatron_config": (None,),
    "fan_in_fan_out": (False, None),
    "use_bdlora": (False, None),
    "kasa_config": (None,),
    "velora_config": (None,),
    "monteclora_config": (None,),
    "init_lora_weights": (True, False, "gaussian", None),  # others also change the base weights
}
#: What a reward adapter has in place of the above. Source: peft 0.21,
#: PeftModelForSequenceClassification, which saves the head by either name.
_REWARD: Mapping[str, Sequence[object]] = {
    **_PLAIN,
    "modules_to_save": (["classifier", "score"], ["score"]),
}
#: PEFT takes any regular expression; one that backtracks would hold up whoever loads the adapter.
_PATTERN = re.compile(r"[\w.\\*^$|-]{1,200}", re.ASCII)
_PATTERN_STARS_LIMIT = 2
_PATTERNS_LIMIT = 512
_SCALING = ("r", "lora_alpha", "use_rslora", "rank_pattern", "alpha_pattern")


@dataclass(frozen=True)
class AdapterInfo:
    """What an adapter folder holds."""

    #: The largest rank of its modules.
    rank: int
    alpha: float
    #: Last parts of the names of the modules that it changes, such as q_proj.
    targets: tuple[str, ...]
    weight_digest: str
    #: All files together.
    bytes: int
    base_model_name: str | None
    kind: AdapterKind = "chat"


def _refused(reason: str, hint: str | None = None) -> InvalidInputError:
    return InvalidInputError(f"The adapter cannot be used: {reason}.", hint=hint)


def _check_files(folder: Path) -> int:
    total = 0
    for path in folder.iterdir():
        if path.is_symlink() or not path.is_file() or path.name not in _BESIDE:
            raise _refused(
                "its folder holds more than an adapter",
                f"keep only {', '.join(sorted(_BESIDE))}",
            )
        size = path.stat().st_size
        if path.name != WEIGHTS_NAME and size > BESIDE_LIMIT_BYTES:
            raise _refused(f"{path.name} is too large")
        total += size
    for name in (CONFIG_NAME, WEIGHTS_NAME):
        if not (folder / name).is_file():
            raise _refused(f"{name} is missing", "save it with PEFT, as safetensors")
    return total


def _read_config(path: Path) -> dict[str, object]:
    if path.stat().st_size > CONFIG_LIMIT_BYTES:
        raise _refused(f"{CONFIG_NAME} is too large")
    try:
        config: object = json.loads(path.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        raise _refused(f"{CONFIG_NAME} is not JSON") from None
    if not isinstance(config, dict):
        raise _refused(f"{CONFIG_NAME} is not a JSON object")
    return cast("dict[str, object]", config)


def _check_plain(config: Mapping[str, object], kind: AdapterKind) -> None:
    for name, allowed in (_REWARD if kind == "reward" else _PLAIN).items():
        if config.get(name) not in allowed:
            raise _refused(f"{name} is set to something that plain LoRA does not have")
    if not isinstance(config.get("r"), int) or not _is_number(config.get("lora_alpha")):
        raise _refused("r or lora_alpha is missing, or no finite number")
    for name in ("rank_pattern", "alpha_pattern"):
        _check_pattern(config.get(name) or {}, name)


def _is_number(value: object) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond every float
        return False


def _check_pattern(pattern: object, name: str) -> None:
    if not isinstance(pattern, dict):
        raise _refused(f"{name} is not a JSON object")
    entries = cast("dict[str, object]", pattern)
    for text, value in entries.items():
        stars = text.count("*")
        if not _PATTERN.fullmatch(text) or stars > _PATTERN_STARS_LIMIT or not _is_number(value):
            raise _refused(
                f"{name} holds a pattern or number that is not taken",
                f"name modules, with at most {_PATTERN_STARS_LIMIT} stars and no groups",
            )
    if len(entries) > _PATTERNS_LIMIT:
        raise _refused(f"{name} has more than {_PATTERNS_LIMIT} entries")


def _without_head(entries: Sequence[HashedTensor]) -> Sequence[HashedTensor]:
    """Return all tensors of a reward adapter but its head, after checking that."""
    heads = [entry.tensor for entry in entries if entry.tensor.name == HEAD_NAME]
    one_score = [head for head in heads if len(head.shape) == 2 and head.shape[0] == 1]
    if len(one_score) != 1 or one_score[0].dtype not in _DTYPES:
        raise _refused("it is said to judge answers, but has no head that makes one score")
    return [entry for entry in entries if entry.tensor.name != HEAD_NAME]


def _pairs(entries: Sequence[HashedTensor]) -> dict[str, dict[str, HashedTensor]]:
    """Return, for each module, its A and its B."""
    modules: dict[str, dict[str, HashedTensor]] = {}
    for entry in entries:
        match = _TENSOR.fullmatch(entry.tensor.name)
        if match is None:
            raise _refused("it holds a tensor that is not part of LoRA")
        if entry.tensor.dtype not in _DTYPES or len(entry.tensor.shape) != 2:
            raise _refused("a tensor of it is not a matrix of floats")
        half = modules.setdefault(match[1], {})
        if match[2] in half:
            raise _refused("it holds a matrix twice")
        half[match[2]] = entry
    return modules


def _rank_of(module: Mapping[str, HashedTensor]) -> int:
    if len(module) != 2:
        raise _refused("a module of it has only one of its two matrices")
    rank = module["A"].tensor.shape[0]  # A: [rank, in], B: [out, rank]
    if rank != module["B"].tensor.shape[1]:
        raise _refused("the two matrices of a module do not fit together")
    if not 1 <= rank <= RANK_LIMIT:
        raise _refused(f"its rank is not between 1 and {RANK_LIMIT}")
    return rank


def _check_ranks(config: Mapping[str, object], ranks: frozenset[int]) -> None:
    pattern = cast("dict[str, object]", config.get("rank_pattern") or {})
    named: list[object] = [config["r"], *pattern.values()]
    if any(rank not in named for rank in ranks):
        raise _refused(f"its matrices have another rank than {CONFIG_NAME} says")


def inspect_adapter(folder: Path) -> AdapterInfo:
    """Return what an adapter folder holds, after checking all of it.

    Raises:
        InvalidInputError: saying what is wrong with it and, where there is a way, how to mend it.
        OSError: if it cannot be read.
    """
    size = _check_files(folder)
    return replace(inspect_weights(folder / CONFIG_NAME, folder / WEIGHTS_NAME), bytes=size)


def inspect_weights(config_path: Path, weights_path: Path) -> AdapterInfo:
    """Return what the two files of an adapter hold that lie among others, as in a checkpoint.

    Raises:
        InvalidInputError: saying what is wrong with them.
        OSError: if they cannot be read.
    """
    config = _read_config(config_path)
    kind: AdapterKind = "reward" if config.get("task_type") == "SEQ_CLS" else "chat"
    _check_plain(config, kind)
    entries = hash_tensors(weights_path, header_limit_bytes=HEADER_LIMIT_BYTES)
    modules = _pairs(_without_head(entries) if kind == "reward" else entries)
    ranks = frozenset(_rank_of(module) for module in modules.values())
    if not ranks or all(module["B"].zero for module in modules.values()):
        raise _refused("it changes nothing", "train it for at least one step")
    _check_ranks(config, ranks)
    base = config.get("base_model_name_or_path")
    try:
        digest = tensors_digest(entries, [{name: config.get(name) or None for name in _SCALING}])
    except CanonicalError:
        raise _refused("its scaling holds a number that has no exact form") from None
    return AdapterInfo(
        rank=max(ranks),
        alpha=float(cast("float", config["lora_alpha"])),
        targets=tuple(sorted({name.rpartition(".")[2] for name in modules})),
        weight_digest=digest,
        bytes=config_path.stat().st_size + weights_path.stat().st_size,
        base_model_name=base if isinstance(base, str) else None,
        kind=kind,
    )
