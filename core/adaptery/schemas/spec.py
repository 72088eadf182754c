"""The job spec: what a worker is told to do. Data only.

A spec never names Python objects, and never paths outside its work folder. Agent and worker refuse
fields they do not know, so a new field needs a new `spec_version`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from adaptery.canonical import SAFE_INTEGER
from adaptery.schemas.common import DigestText, Model

__all__ = [
    "BaseModelRef",
    "InputSpec",
    "JobSpec",
    "LimitsSpec",
    "LoraSpec",
    "OptimSpec",
    "ResumeSpec",
    "Stage",
]

Stage = Literal["pt", "sft", "rm", "dpo", "kto", "grpo"]

JobId = Annotated[str, StringConstraints(pattern=r"^jb_[0-9a-z]{26}$")]
AttemptId = Annotated[str, StringConstraints(pattern=r"^at_[0-9a-z]{26}$")]
VersionId = Annotated[str, StringConstraints(pattern=r"^dv_[0-9a-z]{26}$")]
#: The last part of a module's name, such as q_proj; never a pattern.
ModuleName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]

#: The linear layers of a Llama block. Source: QLoRA (Dettmers et al., 2023), section 4: adapt all
#: of them.
ALL_LINEAR: tuple[str, ...] = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "gate_proj",
    "up_proj",
    "down_proj",
)


class BaseModelRef(Model):
    """The base model by name and by the digest of its weights; the worker checks the digest."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    weight_digest: DigestText


class InputSpec(Model):
    """One dataset version, in the work folder under `inputs/<position>/`."""

    version: VersionId
    content_digest: DigestText
    split: Literal["all", "train", "validation", "test"] = "all"
    #: Which record is in which split, if the version has splits; see `adaptery.manifests`.
    split_digest: DigestText | None = None
    #: Content digests of the versions that a merged one references.
    sources: tuple[DigestText, ...] | None = Field(default=None, max_length=1_000)


class LoraSpec(Model):
    """The shape of the adapter."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: float = Field(default=16, gt=0, le=1024)  # 2 x rank, LLaMA-Factory's default
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: tuple[ModuleName, ...] = Field(default=ALL_LINEAR, min_length=1, max_length=32)


class OptimSpec(Model):
    """How the weights are moved. Defaults are LlamaBoard's start values (commit ff6d4d1)."""

    learning_rate: float = Field(default=5e-5, gt=0, le=1)
    epochs: float = Field(default=3.0, gt=0, le=1000)
    batch_size: int = Field(default=2, ge=1, le=1024)
    gradient_accumulation: int = Field(default=8, ge=1, le=1024)
    max_steps: int | None = Field(default=None, ge=1, le=10_000_000)  # overrides epochs
    seed: int = Field(default=42, ge=0, lt=2**32)
    cutoff_len: int = Field(default=2048, ge=8, le=1_048_576)  # tokens
    logging_steps: int = Field(default=5, ge=1, le=100_000)
    save_steps: int = Field(default=100, ge=1, le=1_000_000)
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    warmup_ratio: float = Field(default=0.0, ge=0, le=1)
    scheduler: Literal["constant", "linear", "cosine"] = "cosine"


class LimitsSpec(Model):
    """What one attempt may use."""

    wall_seconds: int = Field(ge=1, le=366 * 24 * 3600)
    memory_bytes: int = Field(ge=1, le=SAFE_INTEGER)
    disk_bytes: int = Field(ge=1, le=SAFE_INTEGER)


class ResumeSpec(Model):
    """The checkpoint to go on from, in the work folder under `resume/`."""

    step: int = Field(ge=1)
    digest: DigestText


class JobSpec(Model):
    """One attempt, complete; what is in it is all that a worker knows."""

    spec_version: Literal[1] = 1
    job: JobId
    attempt: AttemptId
    #: Grows with each attempt of a job; a report with an older one is refused.
    fencing_token: int = Field(ge=1, le=SAFE_INTEGER)
    stage: Stage
    base_model: BaseModelRef
    inputs: tuple[InputSpec, ...] = Field(min_length=1, max_length=64)
    #: Name of the chat template; "model" is the base model's own.
    template: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")] = "model"
    lora: LoraSpec = LoraSpec()
    optim: OptimSpec = OptimSpec()
    limits: LimitsSpec
    resume_from: ResumeSpec | None = None
