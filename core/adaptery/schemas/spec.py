"""The job spec: what a worker is told to do. Data only.

A spec never names Python objects, and never paths outside its work folder. Agent and worker refuse
fields they do not know, so a new field needs a new `spec_version`: 2 brought every stage and all
options of the forms. A spec of version 1 means what it did, with the new fields at their defaults.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from adaptery.canonical import SAFE_INTEGER
from adaptery.schemas.common import DigestText, Model

__all__ = [
    "SPEC_VERSION",
    "BaseModelRef",
    "EvalSpec",
    "InputSpec",
    "JobSpec",
    "LimitsSpec",
    "LoraSpec",
    "OptimSpec",
    "PreferenceSpec",
    "ResumeSpec",
    "RewardSpec",
    "RopeSpec",
    "Stage",
    "StartSpec",
]

#: The version that is written; see `JobSpec.spec_version` for those that are read.
SPEC_VERSION = 2

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
    #: Evaluated on and never learnt from, as is a validation split beside others.
    held_out: Literal[True] | None = None


class LoraSpec(Model):
    """The shape of the adapter."""

    rank: int = Field(default=8, ge=1, le=256)
    alpha: float = Field(default=16, gt=0, le=1024)  # 2 x rank, LLaMA-Factory's default
    dropout: float = Field(default=0.0, ge=0, lt=1)
    #: "all": every linear layer of the base model but its head.
    targets: (
        Annotated[tuple[ModuleName, ...], Field(min_length=1, max_length=32)] | Literal["all"]
    ) = ALL_LINEAR
    #: LoHa and LoKr are trained as such and handed in as the LoRA that computes the same.
    kind: Literal["lora", "loha", "lokr"] = "lora"
    #: Scale by alpha / sqrt(rank). Source: Kalajdzievski, 2023, "A rank stabilization scaling
    #: factor for fine-tuning with LoRA".
    rslora: bool = False
    #: Source: Liu et al., 2024, "DoRA: Weight-decomposed low-rank adaptation".
    dora: bool = False
    init: Literal["default", "gaussian", "olora", "pissa", "loftq"] = "default"


class RopeSpec(Model):
    """Positions beyond those the base model was trained on."""

    kind: Literal["linear", "dynamic", "yarn"]
    factor: float = Field(gt=1, le=64)


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
    scheduler: Literal[
        "constant", "linear", "cosine", "cosine_with_restarts", "polynomial", "inverse_sqrt"
    ] = "cosine"
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    max_grad_norm: float = Field(default=1.0, gt=0, le=1000)
    #: Learning rate of B over that of A. Source: Hayou et al., 2024, "LoRA+".
    loraplus_ratio: float | None = Field(default=None, ge=1, le=1000)
    #: Noise on embeddings. Source: Jain et al., 2023, "NEFTune".
    neftune_alpha: float | None = Field(default=None, gt=0, le=100)
    #: How examples become rows: batches of like length, several examples in a row that do not see
    #: each other, or one example a row in shuffled order.
    batching: Literal["grouped", "packed", "shuffled"] = "grouped"
    gradient_checkpointing: bool = False
    attention: Literal["auto", "eager", "sdpa", "flash"] = "auto"
    quantization: Literal["none", "8bit", "4bit"] = "none"
    rope: RopeSpec | None = None
    #: At most so many examples, of the shuffled whole.
    max_samples: int | None = Field(default=None, ge=1, le=100_000_000)


class EvalSpec(Model):
    """What is held out, and what is measured on it."""

    #: Held out where the version has no validation split: a share below 1, or a number of examples.
    val_size: float = Field(default=0.0, ge=0, le=1_000_000)
    #: Steps between evaluations; absent: at each checkpoint.
    steps: int | None = Field(default=None, ge=1, le=1_000_000)
    #: Evaluations without a better loss after which training ends; absent: never.
    patience: int | None = Field(default=None, ge=1, le=1_000)
    #: Held out examples that base model and adapter are compared on at the end; 0: they are not.
    examples: int = Field(default=50, ge=0, le=10_000)
    #: Where an answer of theirs is cut off.
    max_new_tokens: int = Field(default=128, ge=1, le=8192)

    @property
    def on_the_way(self) -> bool:
        """Whether an option asks for the loss on what is held out while training goes on."""
        return self.val_size > 0 or self.steps is not None or self.patience is not None


class PreferenceSpec(Model):
    """What the stages rm, dpo and kto learn by; the names and defaults are trl's."""

    beta: float = Field(default=0.1, gt=0, le=100)
    loss: Literal["sigmoid", "hinge", "ipo"] = "sigmoid"  # dpo
    #: Weight of the chosen answer's own likelihood in dpo. Source: Pang et al., 2024, RPO.
    sft_weight: float | None = Field(default=None, ge=0, le=100)
    desirable_weight: float = Field(default=1.0, gt=0, le=100)  # kto
    undesirable_weight: float = Field(default=1.0, gt=0, le=100)  # kto


class RewardSpec(Model):
    """The judge of stage grpo: an adapter of stage rm, in the work folder under `reward/`."""

    weight_digest: DigestText
    generations: int = Field(default=4, ge=2, le=64)  # answers to each prompt
    max_new_tokens: int = Field(default=128, ge=1, le=8192)
    temperature: float = Field(default=1.0, gt=0, le=2)
    beta: float = Field(default=0.04, ge=0, le=10)  # weight of the distance from the base model


class StartSpec(Model):
    """The adapter that training goes on from, with a new optimiser, in the folder `start/`."""

    weight_digest: DigestText
    #: Its name, for the card.
    name: Annotated[str, Field(min_length=1, max_length=400)]


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

    spec_version: Literal[1, 2] = SPEC_VERSION
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
    eval: EvalSpec = EvalSpec()
    preference: PreferenceSpec = PreferenceSpec()
    reward: RewardSpec | None = None
    start_from: StartSpec | None = None
    limits: LimitsSpec
    resume_from: ResumeSpec | None = None

    @property
    def evaluates_on_the_way(self) -> bool:
        """Whether the loss on what is held out is measured while training goes on."""
        return self.eval.on_the_way or any(entry.held_out for entry in self.inputs)
