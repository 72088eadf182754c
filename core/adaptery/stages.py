"""What each stage of training learns from; the stages themselves are in `schemas.spec`.

For: forms, the check of a job's versions and the worker, so that all three take the same records.
"""

from __future__ import annotations

from collections.abc import Mapping

from adaptery.records import Kind
from adaptery.schemas.spec import Stage

__all__ = ["EVALUATED_STAGES", "STAGE_KINDS"]

#: The kinds of records that a stage takes as they are.
STAGE_KINDS: Mapping[Stage, tuple[Kind, ...]] = {
    "pt": ("text", "chat"),  # a chat counts as the text that its template makes of it
    "sft": ("chat", "text"),
    "rm": ("preference",),
    "dpo": ("preference",),
    "kto": ("kto", "preference"),  # a preference is two labelled answers
    "grpo": ("chat",),  # up to the last answer: the model writes its own
}

#: Those after which base model and adapter are compared on held out answers: not those whose
#: adapter writes no answers, or learns from no answers of others.
EVALUATED_STAGES: frozenset[Stage] = frozenset(("pt", "sft", "dpo", "kto"))
