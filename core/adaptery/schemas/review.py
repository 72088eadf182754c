"""Review of a draft: what an analysis found, and what people decided about it.

Nothing is ever deleted by an analysis: it makes findings, and a person decides about each. A queue
is one kind of findings.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from adaptery.schemas.common import Answer, DigestText, Instant, JsonObject, Model, Page

__all__ = [
    "DECISIONS",
    "PII_KINDS",
    "QUALITY_FLAGS",
    "QUEUES",
    "Decided",
    "Decision",
    "DecisionRequest",
    "DecisionResult",
    "Excerpt",
    "Finding",
    "FindingPage",
    "FindingRecord",
    "FindingState",
    "LengthBin",
    "Lengths",
    "LengthsRequest",
    "PiiKind",
    "QualityFlag",
    "Queue",
    "QueueSummary",
    "Review",
    "ReviewOptions",
    "ReviewRequest",
    "UndoRequest",
    "UndoResult",
]

Queue = Literal["exact", "near", "phrases", "pii", "quality", "language", "lengths"]
QUEUES: tuple[Queue, ...] = get_args(Queue)

Decision = Literal["keep", "drop", "strip", "accept", "ignore", "replace"]
#: What may be decided about the findings of each queue; lengths are numbers, not findings.
DECISIONS: dict[Queue, tuple[Decision, ...]] = {
    "exact": ("keep", "drop"),
    "near": ("keep", "drop"),
    "phrases": ("keep", "strip"),
    "pii": ("accept", "ignore", "replace"),
    "quality": ("keep", "drop"),
    "language": ("keep", "drop"),
    "lengths": (),
}

PiiKind = Literal["email", "phone", "ssn", "mrn", "date", "age", "ip", "card", "name"]
PII_KINDS: tuple[PiiKind, ...] = get_args(PiiKind)

QualityFlag = Literal[
    "empty",  # an answer without a letter or digit
    "short",  # an answer shorter than `short_characters`
    "echo",  # the answer equals the prompt
    "refusal",  # the answer says that a model cannot or will not
    "placeholder",  # such as {{name}}
    "roles",  # speakers out of order: in the messages, or in the tags of a transcript
    "encoding",  # mojibake, replacement or control characters
    "illegible",  # gaps such as [...]
]
QUALITY_FLAGS: tuple[QualityFlag, ...] = get_args(QualityFlag)

FindingState = Literal["open", "decided"]

#: Datasets that one analysis compares the draft with.
AGAINST_MAX = 20
#: Findings that one request decides by name; `all` has no such limit.
FINDINGS_MAX = 1_000
REPLACEMENT_MAX = 200  # characters
MODEL_NAME_MAX = 200  # characters

#: A position in the draft, as `RecordItem.id` has it.
Position = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
FindingId = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Id = Annotated[str, Field(min_length=1, max_length=64)]
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]


class ReviewOptions(Model):
    """How an analysis looks; what is left out has the default."""

    threshold: float = Field(
        default=0.8, ge=0.5, le=1, description="near: Jaccard of 5-character shingles, at least"
    )
    part: Literal["record", "prompt", "answer"] = Field(
        default="record", description="near: which text is compared"
    )
    phrase_words: int = Field(default=5, ge=3, le=20, description="phrases: words at least")
    phrase_records: int = Field(
        default=5, ge=2, le=1_000_000, description="phrases: records that hold it, at least"
    )
    pii: tuple[PiiKind, ...] = Field(
        default=PII_KINDS, max_length=len(PII_KINDS), description="pii: what is looked for"
    )
    presidio: bool = Field(
        default=False, description="pii: also ask presidio's pattern recognisers, if installed"
    )
    short_characters: int = Field(
        default=15, ge=0, le=10_000, description="quality: a shorter answer is flagged"
    )
    languages: tuple[LanguageCode, ...] = Field(
        default=(),
        max_length=20,
        description="language: what is expected (ISO 639-1); the most frequent one if left out",
    )


class ReviewRequest(Model):
    """Which queues to fill anew. Decisions that were made stay."""

    queues: tuple[Queue, ...] = Field(
        default=("exact", "near", "phrases", "pii", "quality", "language"),
        min_length=1,
        max_length=len(QUEUES),
    )
    options: ReviewOptions = ReviewOptions()
    against: tuple[Id, ...] = Field(
        default=(),
        max_length=AGAINST_MAX,
        description="exact, near: datasets (id) whose drafts are compared too; you need `view`",
    )


class QueueSummary(Answer):
    """How one queue is."""

    queue: Queue
    analysed_at: Instant | None = Field(description="null: never")
    open: int = Field(description="findings that nobody has decided about")
    decided: int
    stale: int = Field(description="records added or changed since the analysis")
    rules: dict[str, int] = Field(description="open findings by rule: a kind, flag or language")
    left_out: int = Field(default=0, description="findings beyond what one queue holds")
    languages: dict[str, int] = Field(
        default_factory=dict, description="language: records by language; `und` is too short"
    )
    options: JsonObject | None = Field(default=None, description="of the analysis")


class Review(Answer):
    """All queues of a draft."""

    queues: tuple[QueueSummary, ...]


class Excerpt(Answer):
    """A span and what stands around it."""

    before: str
    match: str
    after: str


class FindingRecord(Answer):
    """A record that a finding is about."""

    dataset: str | None = Field(
        default=None, description="id of another dataset; null: it is in this draft"
    )
    id: str = Field(description="its position there")
    record_id: DigestText | None = None
    record: JsonObject | None = Field(
        default=None, description="null if it is gone, or changed since in another dataset"
    )
    similarity: float | None = Field(
        default=None, description="near: Jaccard with the first record of the group"
    )


class Decided(Answer):
    """What somebody decided."""

    decision: Decision
    by: str = Field(description="such as @demo")
    at: Instant
    batch: str | None = Field(default=None, description="the edits it made; null: none")


class Finding(Answer):
    """One finding."""

    id: str
    queue: Queue
    rule: str = Field(description="exact: record or prompt; pii: the kind; quality: the flag; ...")
    state: FindingState
    count: int = Field(description="records it is about, those not shown included")
    occurrences: int | None = Field(default=None, description="phrases: in all of them")
    records: tuple[FindingRecord, ...]
    least_similarity: float | None = Field(
        default=None,
        description="near: the lowest Jaccard of a record of the group with its first one; below "
        "the threshold the group is a chain",
    )
    path: str | None = Field(default=None, description="JSON pointer of the text with the span")
    start: int | None = Field(default=None, description="of the span, in characters")
    end: int | None = None
    excerpt: Excerpt | None = Field(
        default=None, description="pii, phrases, some flags; null if it is not there any more"
    )
    replacement: str | None = Field(default=None, description="pii: what accepting puts there")
    decided: Decided | None = None


class FindingPage(Page[Finding]):
    """One page of a queue."""

    total: int = Field(description="findings on all pages")


class DecisionRequest(Model):
    """A decision about findings of one queue: a list of them, or all that are open, or alike."""

    findings: tuple[FindingId, ...] | None = Field(
        default=None, min_length=1, max_length=FINDINGS_MAX
    )
    all: bool = Field(default=False, description="all that are open")
    rule: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="with `all`: only of this rule"
    )
    all_like: FindingId | None = Field(
        default=None,
        description="pii: all that are open with the same kind and value as this one; quality, "
        "language: with the same rule",
    )
    decision: Decision
    replacement: Annotated[str, Field(max_length=REPLACEMENT_MAX)] | None = Field(
        default=None, description="replace: what stands there then"
    )
    keep: tuple[Position, ...] = Field(
        default=(),
        max_length=FINDINGS_MAX,
        description="drop: the records of a group that stay; the first one if left out",
    )
    forget: bool = Field(
        default=False,
        description="accept, replace: what stood there is not kept in the log; no undo",
    )

    @model_validator(mode="after")
    def _one_choice(self) -> DecisionRequest:
        chosen = (self.findings is not None, self.all, self.all_like is not None)
        if sum(chosen) != 1:
            raise ValueError("give one of findings, all and all_like")
        if self.rule is not None and not self.all:
            raise ValueError("a rule goes with all")
        if (self.replacement is not None) is not (self.decision == "replace"):
            raise ValueError("a replacement goes with the decision replace, and only with it")
        if self.forget and self.decision not in ("accept", "replace"):
            raise ValueError("forget goes with the decisions accept and replace")
        if self.keep and self.decision != "drop":
            raise ValueError("keep goes with the decision drop")
        return self


class DecisionResult(Answer):
    """What a decision did."""

    decided: int
    changed_records: int
    skipped: int = Field(default=0, description="findings that are not there any more")
    batch: str | None = Field(default=None, description="the edits it made; one undo undoes them")


class UndoRequest(Model):
    """Undoing takes no options."""


class UndoResult(Answer):
    """What was undone: your newest decision in this queue."""

    reopened: int
    changed_records: int


class LengthsRequest(Model):
    """Whose tokens to count, and where training would cut."""

    base_model: Annotated[str, Field(min_length=1, max_length=MODEL_NAME_MAX)] | None = Field(
        default=None, description="the default one if left out"
    )
    cutoff: int = Field(default=2048, ge=1, le=10_000_000, description="tokens of one record")


class LengthBin(Answer):
    """Records with `start` to `end` tokens, both included."""

    start: int
    end: int
    records: int


class Lengths(Answer):
    """How long the records of a draft are in tokens, and what a cutoff takes."""

    base_model: str
    tokenizer: Literal["exact", "estimate"] = Field(
        description="estimate: this host has no tokenizer of the model; characters were divided"
    )
    cutoff: int
    analysed_at: Instant
    stale: int = Field(description="records added or changed since")
    records: int
    tokens: int
    median: int
    p95: int
    max: int
    bins: tuple[LengthBin, ...]
    records_cut: int
    tokens_cut: int
