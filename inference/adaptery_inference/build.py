"""Puts an engine together: base weights, cache, runner, scheduler, tokenizer."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from adaptery.base_models import BaseModelInfo, read_base_model
from adaptery.errors import InvalidInputError
from adaptery_inference.adapter_weights import AdapterLimits, AdapterReader
from adaptery_inference.config import BLOCK_TOKENS, MIB, ServeConfig
from adaptery_inference.engine.adapters import AdapterStore
from adaptery_inference.engine.blocks import BlockManager
from adaptery_inference.engine.budget import MemoryBudget
from adaptery_inference.engine.engine import Engine
from adaptery_inference.engine.scheduler import Scheduler, SchedulerLimits
from adaptery_inference.grammars import GrammarCompiler, vocabulary_of
from adaptery_inference.layers.cache import KVCache
from adaptery_inference.layers.lora import AdapterWeights
from adaptery_inference.models.batching import Batcher
from adaptery_inference.models.llama import LlamaModel
from adaptery_inference.models.spec import ModelSpec, read_model_spec
from adaptery_inference.models.weights import read_model_weights
from adaptery_inference.runner import ModelRunner
from adaptery_inference.tokenizer import PromptTokenizer

log = logging.getLogger(__name__)
_CPU_INFO = Path("/proc/cpuinfo")
#: Without one of these, bfloat16 took 8 times as long as float32 (measured: AVX2, torch 2.13).
_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})


@dataclass(frozen=True)
class BuiltEngine:
    """An engine and what a server needs beside it."""

    engine: Engine[AdapterWeights]
    runner: ModelRunner
    batcher: Batcher
    reader: AdapterReader
    tokenizer: PromptTokenizer
    grammars: GrammarCompiler
    token_bytes: Callable[[int], bytes]
    base_model: BaseModelInfo


def build_engine(config: ServeConfig) -> BuiltEngine:
    """Load the base model of ``config``.

    Raises:
        NotFoundError: the folder holds no converted base model.
        InvalidInputError: the model is not one the engine can compute, does not fit, or there is no
            such device.
    """
    try:
        return _build(config)
    except torch.OutOfMemoryError as error:
        raise InvalidInputError(
            f"The device {config.device} has no room for this base model and the "
            f"{config.memory_mib} MiB of memory_mib.",
            hint="lower memory_mib, or see who else uses the device",
        ) from error


def find_device(name: str) -> torch.device:
    """The device of that name, tried out.

    Raises:
        InvalidInputError: torch finds none here.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # a torch without CUDA asserts
        raise InvalidInputError(
            f"Torch finds no device {name!r} here.",
            hint="use cpu; for a GPU, install its driver and a torch built for it",
        ) from error
    return device


def _build(config: ServeConfig) -> BuiltEngine:
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    base_model = read_base_model(config.model)
    spec = read_model_spec(config.model)
    device = find_device(config.device)
    dtype = choose_dtype(config.dtype, spec, device)
    store = AdapterStore[AdapterWeights](MemoryBudget(config.memory_mib * MIB))
    blocks, cache = _paged_cache(spec, store.budget, dtype, device)
    scheduler = Scheduler(
        SchedulerLimits(config.max_rows, config.max_batch_tokens, config.max_waiting),
        blocks,
        store,
    )
    context = min(
        spec.context_tokens,
        config.max_context_tokens or spec.context_tokens,
        scheduler.capacity_tokens(None),
    )
    model = LlamaModel(spec, read_model_weights(config.model, spec, dtype, device), context)
    widths = {linear: outputs for linear, (outputs, _) in spec.module_shapes().items()}
    batcher = Batcher(
        block_tokens=BLOCK_TOKENS, layers=spec.layers, widths=widths, dtype=dtype, device=device
    )
    runner = ModelRunner(model, cache, batcher)
    tokenizer = PromptTokenizer(config.model)
    end_tokens = tokenizer.end_tokens() | set(spec.eos_tokens)
    vocabulary = vocabulary_of(tokenizer.to_json(), spec.vocabulary, end_tokens)
    engine = Engine(
        runner,
        scheduler,
        decode=tokenizer.decode,
        eos_tokens=end_tokens,
        context_tokens=context,
    )
    limits = AdapterLimits(max_rank=config.max_adapter_rank)
    reader = AdapterReader(spec, dtype, device, limits, base_model.weight_digest)
    log.info("base model ready dtype=%s context_tokens=%d", dtype, context)
    return BuiltEngine(
        engine,
        runner,
        batcher,
        reader,
        tokenizer,
        GrammarCompiler(vocabulary),
        lambda token: vocabulary.decode_bytes([token]),
        base_model,
    )


def choose_dtype(
    wanted: str, spec: ModelSpec, device: torch.device, cpu_info: Callable[[], str] | None = None
) -> torch.dtype:
    """The dtype to compute in; ``auto`` takes the saved one where the processor is good at it.

    Raises:
        InvalidInputError: the saved dtype is unknown.
    """
    name = spec.dtype if wanted == "auto" else wanted
    dtype = getattr(torch, name, None)
    if dtype not in (torch.float32, torch.bfloat16, torch.float16):
        raise InvalidInputError(f"The engine cannot compute in the dtype {name!r}.")
    if wanted == "auto" and device.type == "cpu" and dtype is not torch.float32:
        flags = (cpu_info or _read_cpu_info)().split()
        fast = dtype is torch.bfloat16 and not _BFLOAT16_FLAGS.isdisjoint(flags)
        return dtype if fast else torch.float32
    return dtype


def _paged_cache(
    spec: ModelSpec, budget: MemoryBudget, dtype: torch.dtype, device: torch.device
) -> tuple[BlockManager, KVCache]:
    block_bytes = spec.kv_bytes_per_token(dtype.itemsize) * BLOCK_TOKENS
    total = budget.total_bytes // block_bytes
    cache = KVCache(spec, blocks=total, block_tokens=BLOCK_TOKENS, dtype=dtype, device=device)
    blocks = BlockManager(
        budget, block_tokens=BLOCK_TOKENS, block_bytes=block_bytes, on_release=cache.forget
    )
    return blocks, cache


def _read_cpu_info() -> str:
    return _CPU_INFO.read_text(encoding="ascii", errors="replace") if _CPU_INFO.exists() else ""
