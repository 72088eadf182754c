"""The pure core of the engine: sequences, blocks, adapters, scheduler, step. No torch, no I/O.

Everything here is plain Python over ints, tuples and deques, so that the interesting part is
tested without a model. The README of the component captions each module.
"""

from adaptery_inference.engine.adapters import Adapter, AdapterState, AdapterStore
from adaptery_inference.engine.blocks import BlockManager
from adaptery_inference.engine.budget import MemoryBudget
from adaptery_inference.engine.engine import (
    AdapterWanted,
    Engine,
    EngineLoad,
    Output,
    Prompt,
    Runner,
    StepResult,
)
from adaptery_inference.engine.grammars import Grammar, GrammarSource, Matcher
from adaptery_inference.engine.sampling import Choice, SamplingParams
from adaptery_inference.engine.scheduler import Chunk, Scheduler, SchedulerLimits, Step
from adaptery_inference.engine.sequences import FinishReason, Sequence
from adaptery_inference.engine.text import IncrementalText, StopScanner

__all__ = [
    "Adapter",
    "AdapterState",
    "AdapterStore",
    "AdapterWanted",
    "BlockManager",
    "Choice",
    "Chunk",
    "Engine",
    "EngineLoad",
    "FinishReason",
    "Grammar",
    "GrammarSource",
    "IncrementalText",
    "Matcher",
    "MemoryBudget",
    "Output",
    "Prompt",
    "Runner",
    "SamplingParams",
    "Scheduler",
    "SchedulerLimits",
    "Sequence",
    "Step",
    "StepResult",
    "StopScanner",
]
