"""Every table of the service, as SQLAlchemy Core. No statement lives here.

Tables are plural nouns of the glossary. Every table has `id` and `created_at`; what a tenant owns
also has `tenant_id` (the owner, a user or a group) and `creator_id` (the user who made it). The
permission predicate (`adaptery_hub.permissions`) reads those two, or follows the parent named in
`PARENTS`. No prompt, output or record is ever stored in any of these tables.

A change here needs a migration in `migrations/versions/`; a test compares the two.
"""

from __future__ import annotations

import sqlalchemy as sa

from adaptery_hub.database.types import Digest, Id, UtcTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *columns: sa.Column | sa.Constraint | sa.Index) -> sa.Table:
    return sa.Table(
        name,
        metadata,
        sa.Column("id", Id(), primary_key=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        *columns,
    )


def _owner() -> tuple[sa.Column, sa.Column]:
    return (
        sa.Column("tenant_id", Id(), sa.ForeignKey("tenants.id"), nullable=False, index=True),
        sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
    )


def _parent(column: str, target: str) -> sa.Column:
    return sa.Column(
        column, Id(), sa.ForeignKey(f"{target}.id", ondelete="CASCADE"), nullable=False, index=True
    )


tenants = _table(
    "tenants",
    sa.Column("kind", sa.String(10), nullable=False),  # user | group | service
    sa.Column("hub_name", sa.String(255), nullable=False),  # exactly as the Hub spells it
    sa.Column("hub_created_at", UtcTime()),  # of a user; a mismatch means another person
    sa.Column("slug", sa.String(80), nullable=False),
    # active | suspended | expected: named in a grant, and not seen yet | dormant: gone from the Hub
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("dormant_at", UtcTime()),
    sa.Column("storage_quota_bytes", sa.BigInteger),  # null: as the settings say; 0: no limit
    sa.Column("retention_days", sa.Integer),  # null: as the settings say; 0: for ever
    sa.UniqueConstraint("kind", "slug"),
    # Whoever comes after a dormant one has the same name.
    sa.Index(
        None,
        "kind",
        "hub_name",
        unique=True,
        sqlite_where=sa.text("state != 'dormant'"),
        postgresql_where=sa.text("state != 'dormant'"),
    ),
    sa.Index(None, "hub_name"),
)

datasets = _table(
    "datasets",
    *_owner(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("sensitivity", sa.String(12), nullable=False),  # open | internal | restricted
    sa.Column("description", sa.Text, nullable=False, default=""),
    sa.Column("records", sa.Integer, nullable=False, default=0),  # of the draft
    sa.Column("draft_bytes", sa.BigInteger),  # on disk; null: not looked at yet
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.Column("expires_at", UtcTime(), index=True),  # when it is erased; null: never
    sa.UniqueConstraint("tenant_id", "name"),
)

files = _table(
    "files",
    _parent("dataset_id", "datasets"),
    sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("digest", Digest()),  # once received
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("format", sa.String(20)),
    sa.Column("mapping", sa.JSON(none_as_null=True)),
    sa.Column("records", sa.Integer, nullable=False, default=0),
    # receiving | received | importing | ready | refused
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("container", sa.String(10)),
    sa.Column("reason", sa.String(500)),  # why it was refused
    sa.Column("tokenizer", sa.String(200)),  # the base model whose tokens it was cut by
    sa.Column("problems", sa.Integer, nullable=False, default=0, server_default="0"),
    # Of what came and the list of its problems; 0: of a release that kept neither.
    sa.Column("kept_bytes", sa.BigInteger, nullable=False, default=0, server_default="0"),
    sa.UniqueConstraint("dataset_id", "name"),
)

versions = _table(
    "versions",
    _parent("dataset_id", "datasets"),
    sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("content_digest", Digest(), nullable=False, index=True),
    sa.Column("manifest_digest", Digest(), nullable=False),
    sa.Column("recipe", sa.JSON(none_as_null=True)),  # of a merged version
    sa.Column("counts", sa.JSON, nullable=False),  # records, duplicates_dropped, bytes
    sa.Column("state", sa.String(12), nullable=False),  # completed | withdrawn | erased
    sa.Column("report", sa.JSON(none_as_null=True)),  # of the publish; null: before there was one
    sa.Column("description", sa.Text),
    sa.Column("license", sa.String(64)),
    sa.Column("splits", sa.JSON(none_as_null=True)),  # records by split; null: it has none
    sa.Column("split_digest", Digest()),  # which record is in which split
    sa.Column("reason", sa.Text),  # why it was withdrawn
    sa.Column("withdrawn_at", UtcTime()),
    # Kind, source, digest, records and recipe of each source that was collated into its draft.
    sa.Column("collated", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("dataset_id", "number"),
)

version_sources = _table(
    "version_sources",
    _parent("version_id", "versions"),
    sa.Column("source_version_id", Id(), sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.UniqueConstraint("version_id", "position"),
)

dataset_sources = _table(
    # Datasets from whose drafts or versions records were collated; they may be gone by now. It
    # stays when those records are removed again: versions, and what was made from them, hold them.
    "dataset_sources",
    _parent("dataset_id", "datasets"),
    sa.Column("source_dataset_id", Id(), nullable=False, index=True),
    sa.UniqueConstraint("dataset_id", "source_dataset_id"),
)

version_files = _table(
    "version_files",  # the files whose records a version holds; they may be deleted by now
    _parent("version_id", "versions"),
    sa.Column("file_id", Id(), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("digest", Digest()),
    sa.Column("records", sa.Integer, nullable=False),  # in the draft
    sa.UniqueConstraint("version_id", "file_id"),
)

grants = _table(
    "grants",
    sa.Column("thing_id", Id(), nullable=False, index=True),  # a dataset, job or adapter
    sa.Column("principal_id", Id(), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("right", sa.Integer, nullable=False),  # permissions.Right as a number
    sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.UniqueConstraint("thing_id", "principal_id"),
)

base_models = _table(
    "base_models",
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("source", sa.String(500)),
    sa.Column("weight_digest", Digest(), nullable=False),
    sa.Column("capabilities", sa.JSON, nullable=False),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.UniqueConstraint("name", "weight_digest"),
)

jobs = _table(
    "jobs",
    *_owner(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("task", sa.String(80), nullable=False),
    sa.Column("task_digest", Digest(), nullable=False),
    sa.Column("base_model", sa.String(200), nullable=False),
    sa.Column("weight_digest", Digest()),  # of the base model, once known
    sa.Column("options", sa.JSON, nullable=False),
    sa.Column("spec", sa.JSON(none_as_null=True)),
    # What has to be translated before it can be queued: `job_inputs.Translation`.
    sa.Column("translation", sa.JSON(none_as_null=True)),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("reason", sa.Text),  # why created is not yet queued, or why failed
    sa.Column("flag_cancel", sa.Boolean, nullable=False, default=False),
    sa.Column("queue", sa.String(80), nullable=False),
    # What not every worker can, in order, with spaces between; see `adaptery.abilities`.
    sa.Column("needs", sa.String(80), nullable=False, server_default=""),
    sa.Column("priority", sa.Integer, nullable=False, default=0),  # see `queue.priorities`
    sa.Column("progress", sa.Float),
    sa.Column("step", sa.BigInteger),  # optimiser steps done
    sa.Column("total_steps", sa.BigInteger),
    sa.Column("stepped_at", UtcTime()),  # when the last step was told
    sa.Column("step_seconds", sa.Float),  # of one step, at the pace of the present attempt
    sa.Column("summary", sa.JSON(none_as_null=True)),
    sa.Column("queued_at", UtcTime()),
    sa.Column("started_at", UtcTime()),
    sa.Column("finished_at", UtcTime()),
    sa.Column("updated_at", UtcTime(), nullable=False),
    sa.Column("state_at", UtcTime()),  # when the state was set
    sa.Column("key", sa.String(64)),  # made by the client that submitted it
    sa.Column("request_digest", Digest()),  # of what came with the key
    sa.Column("cloned_from", Id()),  # the job that it was made from; it may be deleted by now
    sa.Column("metadata", sa.JSON(none_as_null=True)),  # what its client noted about it
    sa.Column("deleted_at", UtcTime()),  # what its adapter learnt from is still told by its inputs
    sa.Column("lost_by", Id()),  # the agent that lost it last
    sa.Column("retry_at", UtcTime()),  # before which that agent does not get it again
    sa.Index(None, "creator_id", "key", unique=True),
    sa.Index(None, "state", "queue"),
    sa.Index(  # the few that cannot be queued yet
        "ix_jobs_created",
        "id",
        sqlite_where=sa.text("state = 'created'"),
        postgresql_where=sa.text("state = 'created'"),
    ),
    sa.Index(None, "tenant_id", "state", "deleted_at", "id"),  # which of whom, and how many
    sa.Index(None, "queue", "state", "state_at"),
    # Whose turn it is: the first of each owner's line, and who started one last.
    sa.Index(None, "queue", "state", "tenant_id", "creator_id", "priority", "queued_at"),
    sa.Index(None, "queue", "tenant_id", "started_at"),
)

queues = _table(
    "queues",  # those that an administrator or a claim touched; others are open
    sa.Column("name", sa.String(80), nullable=False, unique=True),
    sa.Column("state", sa.String(10), nullable=False),  # open | paused | draining
    sa.Column("reason", sa.String(200)),
    sa.Column("changed_by", Id()),  # the administrator
    sa.Column("changed_at", UtcTime()),
)

job_inputs = _table(
    "job_inputs",
    _parent("job_id", "jobs"),
    sa.Column("version_id", Id(), sa.ForeignKey("versions.id"), nullable=False, index=True),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("split", sa.String(40)),
    # Named to be evaluated on; validation splits beside others are so too, and say it by `split`.
    sa.Column("held_out", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    sa.UniqueConstraint("job_id", "position"),
)

job_adapters = _table(
    "job_adapters",  # adapters that a job goes on from, or is judged by; as they were at its submit
    _parent("job_id", "jobs"),
    sa.Column("role", sa.String(8), nullable=False),  # start | reward
    sa.Column("name", sa.String(400), nullable=False),  # pinned
    sa.Column("adapter_id", Id()),  # null: of a checkpoint
    sa.Column("source_job_id", Id(), index=True),  # that made it
    sa.Column("step", sa.Integer),  # of a checkpoint
    sa.Column("weight_digest", Digest(), nullable=False),
    sa.Column("sensitivity", sa.String(12), nullable=False),
    sa.Column("content_digests", sa.JSON, nullable=False),  # of the versions it learnt from
    sa.UniqueConstraint("job_id", "role"),
)

attempts = _table(
    "attempts",
    _parent("job_id", "jobs"),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("agent_id", Id(), index=True),
    sa.Column("lease_until", UtcTime()),
    sa.Column("fencing_token", sa.String(80), nullable=False),
    sa.Column("outcome", sa.String(12)),  # null while it runs
    sa.Column("reason", sa.Text),
    sa.Column("started_at", UtcTime()),
    sa.Column("finished_at", UtcTime()),
    sa.UniqueConstraint("job_id", "number"),
    sa.Index(  # of those that run
        None,
        "lease_until",
        sqlite_where=sa.text("outcome IS NULL"),
        postgresql_where=sa.text("outcome IS NULL"),
    ),
)

job_events = _table(
    "job_events",
    _parent("job_id", "jobs"),
    sa.Column("attempt_id", Id()),
    sa.Column("seq", sa.Integer, nullable=False),  # of the job, gap-free
    sa.Column("attempt_seq", sa.Integer),  # of the worker's file, to drop what comes twice
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sa.UniqueConstraint("job_id", "seq"),
    sa.UniqueConstraint("attempt_id", "attempt_seq"),
)

checkpoints = _table(
    "checkpoints",
    _parent("job_id", "jobs"),
    sa.Column("attempt_id", Id()),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("digest", Digest(), nullable=False),
    sa.Column("files", sa.JSON, nullable=False),  # [{path, bytes, digest}]
    sa.Column("bytes", sa.BigInteger),
    sa.Column("metrics", sa.JSON(none_as_null=True)),
    # Whether only its adapter is left: it can be served, and not resumed from.
    sa.Column("light", sa.Boolean, nullable=False, default=False, server_default=sa.false()),
    # Of its adapter, as `adapters` has them; null: it cannot be served.
    sa.Column("weight_digest", Digest()),
    sa.Column("kind", sa.String(8)),
    sa.Column("rank", sa.Integer),
    sa.Column("sensitivity", sa.String(12)),
    sa.Column("content_digests", sa.JSON(none_as_null=True)),
    sa.UniqueConstraint("job_id", "step"),
)

adapters = _table(
    "adapters",
    *_owner(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("job_id", Id(), sa.ForeignKey("jobs.id"), index=True),
    sa.Column("base_model", sa.String(200), nullable=False),
    sa.Column("base_weight_digest", Digest(), nullable=False),
    sa.Column("weight_digest", Digest(), nullable=False, index=True),
    sa.Column("sensitivity", sa.String(12), nullable=False),
    sa.Column("kind", sa.String(8), nullable=False, default="chat"),  # chat | reward
    sa.Column("rank", sa.Integer),
    sa.Column("bytes", sa.BigInteger, nullable=False, default=0),
    sa.Column("files", sa.JSON, nullable=False),  # [{path, bytes, digest}]
    sa.Column("content_digests", sa.JSON, nullable=False),  # of the versions it learnt from
    sa.Column("card", sa.JSON, nullable=False),
    sa.Column("limits", sa.JSON(none_as_null=True)),  # of its manager: `limits.Limit`
    # The signed `adaptery.adapter_manifests`, as it is handed out; null: of a release before.
    sa.Column("manifest", sa.Text),
    sa.Column("state", sa.String(12), nullable=False, default="completed"),
    sa.UniqueConstraint("tenant_id", "name", "number"),
)

agents = _table(
    "agents",
    sa.Column("owner", Id(), nullable=False),  # ow_… of the broker account
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("card", sa.JSON, nullable=False),
    sa.Column("broker_key", sa.String(80)),  # public key of its broker user, to revoke it
    sa.Column("state", sa.String(12), nullable=False),  # joined | live | gone | revoked
    sa.Column("last_seen_at", UtcTime()),
    sa.Column("capability", sa.JSON(none_as_null=True)),  # of the last heartbeat
)

join_tokens = _table(
    "join_tokens",
    sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id")),  # null: minted by the supervisor
    sa.Column("secret_hash", Digest(), nullable=False),
    sa.Column("labels", sa.JSON, nullable=False),
    sa.Column("expires_at", UtcTime(), nullable=False),
    sa.Column("used_at", UtcTime()),
    sa.Column("agent_id", Id()),
)

keys = _table(
    "keys",
    *_owner(),
    sa.Column("name", sa.String(80), nullable=False),
    sa.Column("secret_hash", Digest(), nullable=False, unique=True),
    sa.Column("adapters", sa.JSON, nullable=False),  # ids
    sa.Column("verbs", sa.JSON, nullable=False),
    sa.Column("prefix", sa.String(16), nullable=False),  # how the secret begins
    sa.Column("tokens_per_day", sa.BigInteger),
    sa.Column("requests_per_minute", sa.Integer),
    sa.Column("old_secret_hash", Digest(), unique=True, index=True),  # of before the last rotation
    sa.Column("old_secret_until", UtcTime()),
    sa.Column("expires_at", UtcTime(), nullable=False),
    sa.Column("last_used_at", UtcTime()),
    sa.Column("revoked_at", UtcTime()),
)

reservations = _table(
    "reservations",  # tokens that running requests of a key may still make; ids are of requests
    _parent("key_id", "keys"),
    sa.Column("tokens", sa.BigInteger, nullable=False),
)

running_answers = _table(
    "running_answers",  # tokens that they may still make; ids are of requests
    sa.Column("tenant_id", Id(), nullable=False, index=True),  # who asks
    sa.Column("owner_id", Id(), index=True),  # of the adapter
    sa.Column("adapter_id", Id(), index=True),
    sa.Column("tokens", sa.BigInteger, nullable=False),
)

usage = _table(
    "usage",
    sa.Column("tenant_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("adapter_id", Id()),
    sa.Column("base_model", sa.String(200)),
    sa.Column("agent_id", Id()),
    sa.Column("key_id", Id()),  # the own key that asked, if one did
    sa.Column("request_id", sa.String(64), nullable=False),
    sa.Column("channel", sa.String(10), nullable=False),  # open | sealed
    sa.Column("kind", sa.String(20)),  # chat | completions | ...; null: before it was noted
    sa.Column("prompt_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("completion_tokens", sa.Integer, nullable=False, default=0),
    sa.Column("duration_ms", sa.Integer, nullable=False, default=0),
    sa.Column("outcome", sa.String(40), nullable=False),
    sa.Index(None, "key_id", "created_at"),
    sa.Index(None, "tenant_id", "created_at"),
    sa.Index(None, "adapter_id", "created_at"),
    sa.Index(None, "created_at"),
)

audit = _table(
    "audit",
    sa.Column("writer", sa.String(80), nullable=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("prev", Digest(), nullable=False),
    sa.Column("row_hash", Digest(), nullable=False),
    sa.Column("tenant_id", Id(), index=True),  # who did it; null: the service itself
    sa.Column("action", sa.String(60), nullable=False),
    sa.Column("thing_id", Id(), index=True),
    sa.Column("details", sa.JSON, nullable=False),  # names, digests, sizes; never content
    sa.Column("request_id", sa.String(64)),
    sa.UniqueConstraint("writer", "seq"),
    sa.Index(None, "created_at"),
)

operations = _table(
    "operations",
    sa.Column("tenant_id", Id(), sa.ForeignKey("tenants.id"), nullable=False, index=True),
    sa.Column("kind", sa.String(20), nullable=False),  # publish
    sa.Column("thing_id", Id(), nullable=False, index=True),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("done", sa.Integer, nullable=False, default=0),
    sa.Column("total", sa.Integer, nullable=False, default=0),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("updated_at", UtcTime(), nullable=False),
)

stored_files = _table(
    "stored_files",  # of a store that cannot rename: a folder is there once its rows say so
    sa.Column("prefix", sa.String(200), nullable=False, index=True),
    sa.Column("path", sa.String(1024), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("digest", Digest(), nullable=False),
    sa.Column("version_id", sa.String(1024)),  # the store's own name of exactly these bytes
    # putting | stored | removing | kept: nobody's any more, but locked
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("locked_until", UtcTime()),
)

erasures = _table(
    "erasures",
    sa.Column("dataset_id", Id(), nullable=False, index=True),
    sa.Column("creator_id", Id(), sa.ForeignKey("tenants.id"), nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),  # running | completed
    sa.Column("result", sa.JSON, nullable=False),  # names, counts and sizes
)

clearml_links = _table(
    "clearml_links",  # what ClearML was told of versions
    sa.Column(
        "version_id",
        Id(),
        sa.ForeignKey("versions.id", ondelete="CASCADE"),
        nullable=False,
        unique=True,
    ),
    sa.Column("state", sa.String(10), nullable=False),  # pending | linked | failed
    sa.Column("dataset", sa.String(64)),  # ClearML's id; null: not linked, or deleted there
    sa.Column("told", sa.String(12)),  # the state of the version that ClearML knows
    sa.Column("attempts", sa.Integer, nullable=False, default=0),  # since it last worked
    sa.Column("next_try_at", UtcTime(), nullable=False),
    sa.Column("reason", sa.String(500)),  # why the last one did not work
)

clearml_tasks = _table(
    "clearml_tasks",  # what carries a job through ClearML's queues; one for each try
    _parent("job_id", "jobs"),
    sa.Column("queue", sa.String(80), nullable=False),  # of ours
    # placing: ClearML may not have it yet | waiting | begun: its ticket was used | ending: ClearML
    # may not know yet that it is over | over
    sa.Column("state", sa.String(10), nullable=False, index=True),
    sa.Column("code_digest", Digest(), nullable=False),  # of the code in its ticket
    sa.Column("task", sa.String(64)),  # ClearML's id
    sa.Column("status", sa.String(20)),  # ClearML's word, when it answered last
    sa.Column("seen_at", UtcTime()),  # when that was
    sa.Column("attempt_id", Id()),  # that its worker began
)

training_speeds = _table(
    "training_speeds",  # what completed attempts measured; numbers, and nobody's
    sa.Column("agent_id", Id(), nullable=False),
    sa.Column("weight_digest", Digest(), nullable=False, index=True),
    sa.Column("stage", sa.String(8), nullable=False),
    sa.Column("precision", sa.String(8), nullable=False),  # as the spec says it
    sa.Column("tokens_per_second", sa.Float, nullable=False),
    sa.Column("peak_memory_bytes", sa.BigInteger),
    sa.Column("row_tokens", sa.Float),  # mean of the rows of its batches
    sa.Column("spec", sa.JSON, nullable=False),  # its sections lora and optim
)

#: Tables whose rows are as visible as the row they hang on: table -> (column, parent table).
PARENTS: dict[sa.Table, tuple[sa.Column, sa.Table]] = {
    files: (files.c.dataset_id, datasets),
    versions: (versions.c.dataset_id, datasets),
    attempts: (attempts.c.job_id, jobs),
    job_events: (job_events.c.job_id, jobs),
    job_inputs: (job_inputs.c.job_id, jobs),
    job_adapters: (job_adapters.c.job_id, jobs),
    checkpoints: (checkpoints.c.job_id, jobs),
    clearml_tasks: (clearml_tasks.c.job_id, jobs),
}

#: Rows of these tables are there for nobody unless this holds: an adapter that is still staged, or
#: deleted, is not, nor is a job that was deleted.
EXISTS: dict[sa.Table, sa.ColumnElement[bool]] = {
    adapters: adapters.c.state == "completed",
    jobs: jobs.c.deleted_at.is_(None),
}
