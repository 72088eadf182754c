"""What notebooks show of each kind of thing: columns of its list, facts of its card."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adaptery.client.listing import Columns
from adaptery.client.words import size_of, written
from adaptery.schemas.adapters import Adapter, BaseModelCard
from adaptery.schemas.agents import Agent
from adaptery.schemas.datasets import FileInfo
from adaptery.schemas.grants import Grant
from adaptery.schemas.jobs import Job as JobInfo
from adaptery.schemas.keys import Key
from adaptery.schemas.queues import Queue
from adaptery.schemas.tasks import Task, TaskProblem
from adaptery.schemas.tenants import Storage, Tenant
from adaptery.times import now

if TYPE_CHECKING:
    from adaptery.client.datasets import Dataset
    from adaptery.client.job import Job
    from adaptery.client.versions import Version

Facts = list[tuple[str, object]]

DATASETS: Columns[Dataset] = (
    ("Dataset", lambda it: it.full_name),
    ("Records in the draft", lambda it: it.info.records),
    ("Sensitivity", lambda it: it.info.sensitivity),
    ("Your right", lambda it: it.info.right),
    ("Changed", lambda it: it.info.updated_at),
    ("Description", lambda it: it.info.description),
)

FILES: Columns[FileInfo] = (
    ("File", lambda it: it.name),
    ("Format", lambda it: it.format),
    ("Records", lambda it: it.records),
    ("Size", lambda it: size_of(it.bytes)),
    ("State", lambda it: it.state),
    ("Uploaded", lambda it: it.created_at),
)

VERSIONS: Columns[Version] = (
    ("Version", lambda it: it.name),
    ("Records", lambda it: it.info.records),
    ("Duplicates dropped", lambda it: it.info.duplicates_dropped),
    ("State", lambda it: it.info.state),
    ("Published", lambda it: it.info.created_at),
)

JOBS: Columns[Job] = (
    ("Job", lambda it: it.info.name),
    ("State", lambda it: state_of(it.info)),
    ("Progress", lambda it: percent_of(it.info.progress)),
    ("Position", lambda it: it.info.position),
    ("Expected", lambda it: expected_of(it.info)),
    ("Base model", lambda it: it.info.base_model),
    ("Adapter", lambda it: it.info.adapter),
    ("Submitted", lambda it: it.info.created_at),
    ("Id", lambda it: it.id),
)

ADAPTERS: Columns[Adapter] = (
    ("Adapter", lambda it: it.full_name),
    ("Base model", lambda it: it.base_model),
    ("Rank", lambda it: it.rank),
    ("Size", lambda it: size_of(it.bytes)),
    ("Sensitivity", lambda it: it.sensitivity),
    ("Your right", lambda it: it.right),
    ("Made", lambda it: it.created_at),
)

BASE_MODELS: Columns[BaseModelCard] = (
    ("Base model", lambda it: it.name),
    ("Default", lambda it: it.default),
    ("Source", lambda it: it.source),
)

TASKS: Columns[Task] = (
    ("Task", lambda it: it.name),
    ("Title", lambda it: it.title),
    ("Stage", lambda it: it.stage),
    ("Queue", lambda it: it.queue),
    ("Description", lambda it: it.description),
)

TASK_PROBLEMS: Columns[TaskProblem] = (
    ("File and line", lambda it: it.where),
    ("What is wrong", lambda it: it.reason),
    ("What to do", lambda it: it.remedy),
    ("Task", lambda it: it.task),
)

GRANTS: Columns[Grant] = (
    ("Shared with", lambda it: it.principal),
    ("Right", lambda it: it.right),
    ("By", lambda it: it.by),
    ("Since", lambda it: it.created_at),
)

AGENTS: Columns[Agent] = (
    ("Agent", lambda it: it.id),
    ("State", lambda it: it.state),
    ("Labels", lambda it: ", ".join(it.labels)),
    ("Last seen", lambda it: it.last_seen_at),
    ("Version", lambda it: it.version),
)

QUEUES: Columns[Queue] = (
    ("Queue", lambda it: it.name),
    ("State", lambda it: it.state),
    ("Queued", lambda it: it.queued),
    ("Training", lambda it: it.training),
    ("Agents", lambda it: it.agents),
    ("Waits since", lambda it: it.waits_since),
    ("Reason", lambda it: it.reason),
)

KEYS: Columns[Key] = (
    ("Key", lambda it: it.name),
    ("Prefix", lambda it: it.prefix),
    ("State", lambda it: state_of_key(it)),
    ("Adapters", lambda it: ", ".join(adapter.name or adapter.id for adapter in it.adapters)),
    ("Verbs", lambda it: ", ".join(it.verbs)),
    ("Tokens today", lambda it: it.tokens_today),
    ("Tokens per day", lambda it: it.tokens_per_day),
    ("Requests per minute", lambda it: it.requests_per_minute),
    ("Last used", lambda it: it.last_used_at),
    ("Expires", lambda it: it.expires_at),
    ("Revoked", lambda it: it.revoked_at),
    ("Owner", lambda it: it.owner),
    ("Id", lambda it: it.id),
)

TENANTS: Columns[Tenant] = (
    ("Tenant", lambda it: it.name),
    ("Kind", lambda it: it.kind),
    ("Name on the Hub", lambda it: it.hub_name),
    ("State", lambda it: it.state),
    ("Dormant since", lambda it: it.dormant_at),
    ("Datasets", lambda it: it.datasets),
    ("Jobs", lambda it: it.jobs),
    ("Adapters", lambda it: it.adapters),
    ("Stores", lambda it: size_of(it.storage.used_bytes)),
    ("Quota", lambda it: quota_of(it.storage)),
    ("Id", lambda it: it.id),
)

STORAGE: Columns[Storage] = (
    ("Tenant", lambda it: it.tenant),
    ("Stores", lambda it: size_of(it.used_bytes)),
    ("Quota", lambda it: quota_of(it)),
    ("Drafts", lambda it: size_of(it.parts.drafts)),
    ("Uploads under way", lambda it: size_of(it.parts.uploads)),
    ("Versions", lambda it: size_of(it.parts.versions)),
    ("Checkpoints", lambda it: size_of(it.parts.checkpoints)),
    ("Adapters", lambda it: size_of(it.parts.adapters)),
)


def quota_of(storage: Storage) -> str:
    """Return how much a tenant may store."""
    return "no limit" if storage.quota_bytes is None else size_of(storage.quota_bytes)


def dataset_facts(dataset: Dataset) -> Facts:
    """Return what the card of a dataset says."""
    return [
        *((title, value(dataset)) for title, value in DATASETS[1:]),
        ("Id", dataset.id),
    ]


def version_facts(version: Version) -> Facts:
    """Return what the card of a version says."""
    return [
        *((title, value(version)) for title, value in VERSIONS[1:]),
        ("Content digest", version.info.content_digest),
        ("Id", version.id),
    ]


def job_facts(job: Job) -> Facts:
    """Return what the card of a job says."""
    options = tuple(f"{name} = {written(value)}" for name, value in job.info.options.items())
    return [
        *((title, value(job)) for title, value in JOBS[1:-1]),
        ("Task", job.info.task),
        ("Datasets", ", ".join(job.info.datasets or [job.info.dataset])),
        ("Held out", job.info.validation),
        ("Goes on from", job.info.start_from),
        ("Options", options),
        ("Steps", steps_of(job.info)),
        ("Priority", job.info.priority),
        ("Started", job.info.started_at),
        ("Finished", job.info.finished_at),
        ("ClearML", job.info.clearml and job.info.clearml.url),
        ("Id", job.id),
    ]


def state_of(info: JobInfo) -> str:
    """Return the state of a job, with the reason where there is one."""
    return f"{info.state}: {info.reason}" if info.reason else str(info.state)


def state_of_key(key: Key) -> str:
    """Return the state of a key, as the Keys view says it."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at <= now():
        return "expired"
    if "embed" not in key.verbs and not any(adapter.name for adapter in key.adapters):
        return "asks nothing"  # its owner may not use its adapters any more
    spent = key.tokens_per_day is not None and key.tokens_today >= key.tokens_per_day
    return "spent" if spent else "in force"


def expected_of(info: JobInfo) -> str | None:
    """Return when a job that is open will start and end, as far as that is known."""
    told = [
        f"{word} {at:%Y-%m-%d %H:%M} UTC"
        for word, at in (("starts", info.starts_at), ("ends", info.ends_at))
        if at is not None
    ]
    return ", ".join(told) or None


def steps_of(info: JobInfo) -> str | None:
    """Return how many steps of a job are done."""
    if info.step is None:
        return None
    return f"{info.step:,}" + (f" of {info.total_steps:,}" if info.total_steps else "")


def percent_of(progress: float | None) -> str | None:
    """Return a part of one in percent."""
    return None if progress is None else f"{progress:.0%}"
