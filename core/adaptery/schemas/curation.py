"""The records of a draft: looked through, edited one by one or many at once, collated, split."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field, model_validator

from adaptery.records import Kind
from adaptery.schemas.common import (
    Answer,
    ClientKey,
    DigestText,
    Instant,
    JsonObject,
    Model,
    Page,
)
from adaptery.schemas.datasets import Operation
from adaptery.schemas.lineage import Split
from adaptery.schemas.review import QualityFlag

__all__ = [
    "RECORD_FIELDS",
    "BulkRequest",
    "BulkResult",
    "CollateRequest",
    "CollateResult",
    "CollateSource",
    "Edit",
    "EditRequest",
    "EditResult",
    "ForgetRequest",
    "ForgetResult",
    "Leak",
    "LeakCount",
    "LeakPage",
    "LeakReport",
    "LeakRequest",
    "LeakSide",
    "RecordCreate",
    "RecordField",
    "RecordFilter",
    "RecordItem",
    "RecordOrder",
    "RecordPage",
    "RecordPatch",
    "RecordSearch",
    "RestoreRequest",
    "SourceInfo",
    "SplitCount",
    "SplitRequest",
    "SplitSummary",
]

#: Records that a request may name one by one; a filter names any number.
RECORDS_NAMED_MAX = 1_000
#: Sources of one collation.
SOURCES_MAX = 50
#: Datasets and versions that one leak check looks into.
AGAINST_MAX = 20
SEED_LIMIT = 2**53
#: A position, an offset or a length; more would not fit the draft's integers.
NUMBER_LIMIT = 10**18

#: The orders that the records of a draft can be asked for in.
RecordOrder = Literal["position", "-position", "length", "-length", "changed", "-changed"]

#: Where in a record the words of a search stand: what a role says, or a part of the record.
RecordField = Literal["system", "user", "assistant", "tool", "text", "chosen", "rejected", "tools"]
RECORD_FIELDS: tuple[RecordField, ...] = get_args(RecordField)

#: A position as text, as `id` has it; more digits would not fit the draft's integers.
Position = Annotated[str, Field(pattern=r"^[0-9]{1,18}$")]
Id = Annotated[str, Field(min_length=1, max_length=64)]
#: A name of an edit; as a position.
EditId = Position
LanguageCode = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
Length = Annotated[int, Field(ge=0, lt=NUMBER_LIMIT)]


class RecordItem(Answer):
    """A record of a draft or version; `id` is its position."""

    id: str
    record_id: DigestText
    record: JsonObject
    file: str | None = None
    created_at: Instant | None = None
    kind: Kind | None = None
    length: int | None = Field(default=None, description="characters of all its text")
    edited: bool | None = Field(default=None, description="whether an edit of it stands")
    changed_at: Instant | None = None
    language: str | None = Field(
        default=None, description="as the last review found; null: not looked at since it changed"
    )
    flags: tuple[QualityFlag, ...] = Field(default=(), description="as the last review found")
    group: int | None = Field(
        default=None, description="near-duplicates have the same one; null: it has none"
    )
    split: Split | None = None


class RecordPage(Page[RecordItem]):
    """One page of the records of a draft."""

    total: int = Field(description="records on all pages")


class RecordFilter(Model):
    """Which records of a draft are wanted: all conditions must hold.

    Words are content, and addresses are written into the logs of servers and proxies: so they are
    sent like this, and in no query.
    """

    search: str | None = Field(
        default=None, description="words that must all occur in the record; the last may go on"
    )
    field: RecordField | None = Field(
        default=None, description="where the words must stand; anywhere if left out"
    )
    file: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="only records of this file or collated source (id)"
    )
    kind: Kind | None = Field(default=None, description="only records of this kind")
    edited: bool = Field(default=False, description="only those that an edit added or changed")
    duplicates: bool = Field(default=False, description="only those that occur more than once")
    language: LanguageCode | None = Field(
        default=None, description="only those in this language (ISO 639), by the last review"
    )
    flag: QualityFlag | None = Field(
        default=None, description="only those with this flag, by the last review"
    )
    group: int | None = Field(
        default=None, ge=0, lt=NUMBER_LIMIT, description="only this group of near-duplicates"
    )
    near_duplicates: bool = Field(
        default=False, description="only those that are in a group of near-duplicates"
    )
    split: Split | Literal["none"] | None = Field(
        default=None, description="only those of this split; `none`: those that have none"
    )
    min_length: Length | None = Field(default=None, description="characters of all text, at least")
    max_length: Length | None = Field(default=None, description="characters of all text, at most")

    @model_validator(mode="after")
    def _fields_hold_words(self) -> RecordFilter:
        if self.field is not None and self.search is None:
            raise ValueError("a field goes with a search")
        return self


class RecordSearch(RecordFilter):
    """A page of the records that a filter lets through."""

    order: RecordOrder = "position"
    after: Position | None = Field(
        default=None, description="the id of the last record of the page before"
    )
    offset: int | None = Field(
        default=None,
        ge=0,
        lt=NUMBER_LIMIT,
        description="how many records to pass over; not together with `after`",
    )
    limit: int = Field(default=50, ge=1, le=200)


class RecordCreate(Model):
    """A record to add to a draft."""

    record: JsonObject
    key: ClientKey | None = Field(
        default=None, description="made by the client: sent again, it adds no second record"
    )


class RecordPatch(Model):
    """The whole new content of a record of a draft."""

    record: JsonObject
    expected: DigestText | None = Field(
        default=None, description="the record id that you saw; refused if it is another by now"
    )


class RestoreRequest(Model):
    """Bringing a record back takes no options."""


# -- many at once, and the log ------------------------------------------------------------------


class BulkRequest(Model):
    """Remove many records, bring them back, or give them to a split: one edit, one undo."""

    action: Literal["remove", "restore", "split"]
    records: tuple[Position, ...] | None = Field(
        default=None,
        min_length=1,
        max_length=RECORDS_NAMED_MAX,
        description="these records; restoring takes records only",
    )
    filter: RecordFilter | None = Field(
        default=None, description="or all that this lets through; `{}` is every record"
    )
    split: Split | Literal["none"] | None = Field(
        default=None, description="with the action split: which; `none` takes them out of theirs"
    )

    @model_validator(mode="after")
    def _one_choice(self) -> BulkRequest:
        if (self.records is None) is (self.filter is None):
            raise ValueError("give either records or a filter")
        if self.action == "restore" and self.records is None:
            raise ValueError("name the records to restore; undo brings a whole batch back")
        if (self.split is None) is (self.action == "split"):
            raise ValueError("a split goes with the action split, and only with it")
        return self


class BulkResult(Answer):
    """What a bulk edit did."""

    changed: int
    passed_over: int = Field(description="records that were gone, there or so already")
    edit: str | None = Field(description="its entry in the log; null: nothing was changed")


class Edit(Answer):
    """One entry of the log: a change of one record, or of many at once."""

    id: str
    at: Instant
    editor: str = Field(description="who made it, such as @demo")
    action: Literal["add", "replace", "remove", "restore", "split", "mixed"]
    record: str | None = Field(description="the id of the record in the draft; null of a batch")
    before: JsonObject | None = Field(
        description="null if there was no record, if you may not edit the draft, or of a batch"
    )
    after: JsonObject | None = Field(description="as `before`")
    undone: bool
    batch: str | None = Field(
        default=None, description="what many records were changed for; null: one was, by hand"
    )
    records: int = Field(default=1, description="how many records it changed")
    forgotten: bool = Field(
        default=False, description="whether what stood there is gone, so that nobody can undo it"
    )


class EditRequest(Model):
    """Which edit to undo or redo."""

    edit: EditId | None = Field(
        default=None, description="one of yours; what is next in the row if left out"
    )


class EditResult(Answer):
    """An edit that was undone or redone, and its record as it is now."""

    edit: Edit
    record: RecordItem | None = Field(description="null if it is gone, or of a batch")
    changed: int = Field(default=1, description="records that were changed")
    operation: Operation | None = Field(
        default=None, description="what changes a large batch now; null: it is done"
    )
    passed_over: int = Field(
        default=0, description="records of a batch that others changed since, which stay so"
    )


class ForgetRequest(Model):
    """What the log shall no longer hold: the contents of one edit, or of one record."""

    edit: EditId | None = None
    record: Position | None = None

    @model_validator(mode="after")
    def _one_choice(self) -> ForgetRequest:
        if (self.edit is None) is (self.record is None):
            raise ValueError("give either an edit or a record")
        return self


class ForgetResult(Answer):
    """How much the log lost."""

    edits: int = Field(description="that cannot be undone any more, in part or at all")


# -- collating ----------------------------------------------------------------------------------


class CollateSource(Model):
    """A draft or version to take records from."""

    dataset: Id | None = Field(default=None, description="a dataset (id): its draft")
    version: Id | None = Field(default=None, description="a version (id)")
    weight: float = Field(
        default=1,
        gt=0,
        le=1_000,
        description="its share: weight / the largest weight (or 1) of its records is drawn",
    )
    sample: int | None = Field(
        default=None, ge=1, lt=NUMBER_LIMIT, description="at most so many records are drawn"
    )
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT, description="of what is drawn")
    filter: RecordFilter | None = Field(default=None, description="only what this lets through")
    kind: Kind | None = Field(
        default=None,
        description="turn each record into this kind; the source tells what was dropped",
    )

    @model_validator(mode="after")
    def _one_choice(self) -> CollateSource:
        if (self.dataset is None) is (self.version is None):
            raise ValueError("give either a dataset or a version")
        return self


class CollateRequest(Model):
    """Where the records come from, in this order."""

    sources: tuple[CollateSource, ...] = Field(min_length=1, max_length=SOURCES_MAX)


class SourceInfo(Answer):
    """A source that was collated into a draft."""

    id: str = Field(description="`file` of its records; deleting it removes them")
    at: Instant
    editor: str | None = Field(default=None, description="who took it in, such as @demo")
    kind: Literal["dataset", "version"]
    source: str | None = Field(description="id of the dataset or version; null: not yours to see")
    name: str | None = Field(description="its name then; null as `source`")
    digest: DigestText | None = Field(
        description="of a version, its content; of a draft, the records that were taken"
    )
    available: int = Field(description="records that the filter let through")
    taken: int
    records: int = Field(description="of them in the draft now")
    recipe: JsonObject | None = Field(
        default=None, description="weight, sample, seed, filter, kind; null as `source`"
    )
    dropped: dict[str, int] = Field(
        default_factory=dict, description="what the change of kind dropped, and how often"
    )


class CollateResult(Answer):
    """What was taken from each source."""

    records: int
    sources: tuple[SourceInfo, ...]


# -- splitting ----------------------------------------------------------------------------------


class SplitRequest(Model):
    """How to split a draft; what is left over is for training."""

    validation: float = Field(default=0.1, ge=0, lt=1, description="share of the records")
    test: float = Field(default=0.0, ge=0, lt=1, description="share of the records")
    seed: int = Field(default=0, ge=0, lt=SEED_LIMIT)
    group_by: (
        Annotated[
            str,
            Field(
                pattern=r"^(file|user|system|near_duplicates"
                r"|field:(system|user|assistant|tool|text|chosen|rejected|tools))$"
            ),
        ]
        | None
    ) = Field(
        default=None,
        description="records that have this in common stay together: `file`, `user` (the first "
        "user message), `system`, `near_duplicates`, or all of a field, such as `field:user`; "
        "if left out, only equal records do",
    )
    only_new: bool = Field(
        default=False, description="records that have a split keep it; the others get one"
    )

    @model_validator(mode="after")
    def _leave_some(self) -> SplitRequest:
        if self.validation + self.test >= 1:
            raise ValueError("validation and test together must leave something to train on")
        return self


class SplitCount(Answer):
    """One split of a draft."""

    split: Split | None = Field(description="null: the records that have none")
    records: int
    share: float


class SplitSummary(Answer):
    """How a draft is split."""

    splits: tuple[SplitCount, ...]
    recipe: JsonObject | None = Field(
        default=None, description="how it was split last; null: never, or by hand"
    )
    groups: int | None = Field(default=None, description="groups that were kept together then")


class LeakRequest(Model):
    """What a leak check looks into, besides the splits of the draft."""

    against: tuple[Id, ...] = Field(
        default=(),
        max_length=AGAINST_MAX,
        description="datasets (their drafts) and versions, by id; you need `view`",
    )
    similarity: float = Field(
        default=0.8, ge=0.5, le=1, description="near: Jaccard of 5-character shingles, at least"
    )


LeakKind = Literal["exact", "prompt", "near"]


class LeakSide(Answer):
    """One of the two records of a leak."""

    source: str | None = Field(description="a dataset or version (id); null: this draft")
    id: str = Field(description="its position there")
    split: Split | None


class Leak(Answer):
    """Two records that should not be on both sides of a split, or here and there."""

    id: str
    kind: LeakKind = Field(
        description="exact: the same record; prompt: the same user messages with another answer; "
        "near: nearly the same text"
    )
    here: LeakSide
    there: LeakSide
    similarity: float | None = Field(default=None, description="near: their Jaccard similarity")


class LeakCount(Answer):
    """How many records of the draft leak, by where to and how."""

    kind: LeakKind
    source: str | None = Field(description="a dataset or version (id); null: this draft")
    records: int


class LeakReport(Answer):
    """What a leak check found."""

    checked_at: Instant
    records: int = Field(description="of the draft")
    counts: tuple[LeakCount, ...]
    left_out: int = Field(default=0, description="pairs beyond those that are listed")


class LeakPage(Page[Leak]):
    """One page of the leaks that the last check found."""

    report: LeakReport | None = Field(description="null: no check was made")
