"""Every option of the service, as traitlets: the administrator's words for it.

`configure(c, ...)` writes them to `service.json`, and the service reads them from the file that
`--config` names. Secrets are never options: they come from the environment or lie in
`state_dir`.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from traitlets import (
    Bool,
    Dict,
    Enum,
    Float,
    Int,
    List,
    TraitError,
    Unicode,
    default,
    validate,
)
from traitlets.config import Configurable

from adaptery.errors import InvalidInputError
from adaptery.schemas.common import SENSITIVITIES, parse
from adaptery.schemas.queues import QueueOptions
from adaptery.schemas.review import QUEUES

MEBIBYTE = 1024 * 1024
LOGGING_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: What can be limited.
LIMITS = ("answers", "requests_per_minute", "tokens_per_day")


class ServiceSettings(Configurable):
    """The options of the Adaptery service."""

    state_dir = Unicode(
        help="Folder for everything the service keeps: database, drafts, objects and keys. "
        "Only the service's account may read it."
    ).tag(config=True)

    database_url = Unicode(
        help="SQLAlchemy URL of the database. Default: SQLite in `state_dir`. PostgreSQL: "
        "postgresql+psycopg://host/name."
    ).tag(config=True)

    listen_url = Unicode(
        help="Where to listen, http://host:port. Default: $JUPYTERHUB_SERVICE_URL."
    ).tag(config=True)

    prefix = Unicode(
        help="URL prefix of the service. Default: $JUPYTERHUB_SERVICE_PREFIX, or "
        "/services/adaptery/."
    ).tag(config=True)

    max_upload_bytes = Int(
        2048 * MEBIBYTE, help="Largest dataset file that is accepted, in bytes."
    ).tag(config=True)

    max_draft_records = Int(2_000_000, help="How many records one draft may hold.").tag(config=True)

    max_datasets_per_tenant = Int(1000, help="How many datasets one user or group may own.").tag(
        config=True
    )

    upload_keep_hours = Float(
        24.0, help="How long an interrupted upload may be resumed, in hours."
    ).tag(config=True)

    shard_records = Int(50_000, help="How many records go into one Parquet file of a version.").tag(
        config=True
    )

    publish_policy = Dict(
        value_trait=List(Enum(QUEUES)),
        key_trait=Enum(SENSITIVITIES),
        help="Which review queues must have been looked through, with nothing left open, before a "
        "draft is published, by sensitivity: {'open': ['pii']}.",
    ).tag(config=True)

    publish_originals = List(
        Enum(SENSITIVITIES),
        list(SENSITIVITIES),
        help="Versions of which sensitivities also hold the uploaded files as they came "
        "(`originals/`), with what a review took out of the draft since.",
    ).tag(config=True)

    merged_cache_bytes = Int(
        10 * 1024 * MEBIBYTE,
        min=0,
        help="How much the cache of what merged versions come to may take of the disk, in bytes; "
        "those that were read longest ago go first, and are made again at need.",
    ).tag(config=True)

    pii_names_file = Unicode(
        help="File with names of people, one a line (UTF-8), that reviews look for besides those "
        "they know.",
    ).tag(config=True)

    process_memory_bytes = Int(
        6 * 1024 * MEBIBYTE,
        min=512 * MEBIBYTE,
        help="What one long step of a dataset (import, review, publish) may take of memory, in "
        "bytes; two run at once, each in a process of its own.",
    ).tag(config=True)

    object_store = Enum(
        ("filesystem", "seaweedfs", "s3"),
        "filesystem",
        help="Where versions, adapters and checkpoints lie: `filesystem` (below `state_dir`), "
        "`seaweedfs` (an S3 server that the supervisor runs; extra `s3-server`) or `s3` (another).",
    ).tag(config=True)

    seaweedfs_port = Int(
        10110,
        min=1024,
        max=65_528,
        help="Loopback port of `seaweedfs`; the seven after it are taken as well.",
    ).tag(config=True)

    s3_endpoint_url = Unicode(
        help="Address of the `s3` store, https://host:port. Default: AWS."
    ).tag(config=True)

    s3_region = Unicode("us-east-1", help="Region of the `s3` store.").tag(config=True)

    s3_bucket = Unicode(
        help="Bucket of the `s3` store, with versions and object lock; nothing else may use it."
    ).tag(config=True)

    s3_credentials_file = Unicode(
        help="File (mode 0600) with the AWS profiles `publisher`, `reader` and `admin` for `s3`. "
        "Default: the variables ADAPTERY_S3_PUBLISHER_KEY_ID, ADAPTERY_S3_PUBLISHER_SECRET and "
        "so on."
    ).tag(config=True)

    s3_publisher_arn = Unicode(
        help="The publisher in the words of the `s3` store (arn:aws:iam::…:user/…), for the policy "
        "of the bucket by which it removes nothing. Default: no such policy is set."
    ).tag(config=True)

    s3_manage_bucket = Bool(
        False, help="Whether the bucket is made, and its policy set, with the `admin` credential."
    ).tag(config=True)

    object_lock = Enum(
        ("governance", "compliance", "none"),
        "governance",
        help="The lock on published files in a store that has one. `governance`: the `admin` "
        "credential, which only this service has, may still remove them (to erase a dataset). "
        "`compliance`: nobody may before `object_lock_days` are over.",
    ).tag(config=True)

    object_lock_days = Int(
        3650, min=1, max=36_500, help="How long published files are locked, in days."
    ).tag(config=True)

    object_cache_bytes = Int(
        10 * 1024 * MEBIBYTE,
        min=0,
        help="How much of the disk files may take that were fetched from a store elsewhere, in "
        "bytes; those that were read longest ago go first.",
    ).tag(config=True)

    access_minutes = Int(
        15,
        min=1,
        max=720,
        help="How long the addresses live by which a version can be fetched from the store itself, "
        "in minutes.",
    ).tag(config=True)

    clearml_api_url = Unicode(
        help="Address of a ClearML server's API, https://host[:port]. With it, each version is "
        "also a ClearML Dataset of links. Needs the extra `clearml`. Default: no ClearML."
    ).tag(config=True)

    clearml_files_url = Unicode(
        help="Address of ClearML's file server, where the SDK puts its list of the links. Needed "
        "with `clearml_api_url`."
    ).tag(config=True)

    clearml_web_url = Unicode(
        help="Address of ClearML's pages, as its users see them. Default: `clearml_api_url`."
    ).tag(config=True)

    clearml_credentials_file = Unicode(
        help="File (mode 0600) with the section [clearml], access_key and secret_key. Default: the "
        "variables ADAPTERY_CLEARML_ACCESS_KEY and ADAPTERY_CLEARML_SECRET_KEY."
    ).tag(config=True)

    clearml_project = Unicode(
        "Adaptery", help="Project of the ClearML Datasets; nothing else may use it."
    ).tag(config=True)

    clearml_sensitivities = List(
        Enum(SENSITIVITIES),
        ["open", "internal"],
        help="Versions of which sensitivities ClearML is told of. Every user of ClearML sees their "
        "names, owners, sizes and addresses; not their records.",
    ).tag(config=True)

    clearml_shares_files = Bool(
        False,
        help="Whether the users of ClearML see `state_dir` under the same path, so that file:// "
        "links serve them. Only for the store `filesystem`.",
    ).tag(config=True)

    clearml_python = Unicode(
        help="Interpreter with the ClearML SDK, if it is not the service's own."
    ).tag(config=True)

    clearml_service_url = Unicode(
        help="Address of Adaptery as the machines of ClearML's workers reach it, such as "
        "https://hub.example.org/services/adaptery/. Needed with a `clearml_queue` in `queues`."
    ).tag(config=True)

    clearml_deadline_seconds = Float(
        180.0,
        min=1.0,
        help="How long it may take to tell ClearML of one version, in seconds; then it is tried "
        "again later.",
    ).tag(config=True)

    key_store = Unicode(
        help="Folder with the keys of restricted datasets. It must not be in the backups of "
        "`state_dir`: to erase a dataset is to destroy its key. Default: `state_dir` with `-keys` "
        "behind its name."
    ).tag(config=True)

    identity_cache_seconds = Int(
        25,  # and 5 until a stream looks again: what the Hub revokes is over within 30
        min=1,  # 0 would mean "for ever" to HubAuth
        max=30,
        help="How long the Hub's answer about a token is believed, in seconds. A revoked token "
        "still works for so long, except for deleting, publishing and sharing; a stream, for up "
        "to 5 seconds longer.",
    ).tag(config=True)

    scrape_token_file = Unicode(
        help="File with the token that lets Prometheus read /metrics. Default: no such token; "
        "/metrics then needs the scope custom:adaptery:admin."
    ).tag(config=True)

    # Not `log_level`: traitlets' Application has an option of that name, for its own log.
    logging_level = Unicode("INFO", help="DEBUG, INFO, WARNING or ERROR.").tag(config=True)

    trust_proxy_headers = Bool(
        True, help="Whether the proxy in front of the service sets X-Forwarded-For and -Proto."
    ).tag(config=True)

    shutdown_seconds = Float(
        10.0,
        help="How long running answers and open requests may go on after SIGTERM, in seconds; then "
        "they are ended with an error. New ones are answered 503.",
    ).tag(config=True)

    unread_seconds = Float(
        30.0,
        min=0.1,
        help="How long a stream waits for a client that takes nothing of it, in seconds; then the "
        "connection is closed, and the engine is free.",
    ).tag(config=True)

    broker_url = Unicode(
        help="URL of the broker, nats://host:port. Without it the service has datasets only: no "
        "agents, jobs or inference."
    ).tag(config=True)

    broker_public_url = Unicode(
        help="URL of the broker as agents on other machines see it; it goes into join tokens. "
        "Default: `broker_url`."
    ).tag(config=True)

    base_models = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Base models that users may train on and talk to: name -> source (a folder, a GGUF "
        "file or hf:org/name). Agents hold the weights; the service only knows their digests.",
    ).tag(config=True)

    embedding_models = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Embedding models that users may ask for vectors: name -> source (a folder that "
        "sentence-transformers saved, or hf:org/name). An empty model name means the first.",
    ).tag(config=True)

    default_base_model = Unicode(
        help="What an empty model name means. Default: the first of `base_models`."
    ).tag(config=True)

    pinned_digests = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Name of a base or embedding model -> the only weight digest that is accepted for "
        "it. Without a pin, the first agent that reports the model decides, and that is audited.",
    ).tag(config=True)

    local_agent_token_file = Unicode(
        help="File in the folder of this machine's agent to which a one-time join token is written "
        "at start (mode 0600) if that agent has not joined yet. Default: none is written."
    ).tag(config=True)

    tasks_dir = Unicode(
        help="Folder with task files (YAML) that add to or replace the shipped ones."
    ).tag(config=True)

    lease_seconds = Float(
        60.0, help="How long an agent may be silent about a job before it is queued again."
    ).tag(config=True)

    max_attempts = Int(
        5,
        min=1,
        help="How many attempts at a job may be lost in a row, without a checkpoint of a later "
        "step, before the job fails.",
    ).tag(config=True)

    retry_seconds = Float(
        5.0,
        min=0.0,
        help="How long a job is kept from the agent that lost it twice in a row without progress, "
        "in seconds; twice as long after each further loss. Other agents take it at once.",
    ).tag(config=True)

    max_running_jobs_per_tenant = Int(
        0,
        min=0,
        help="How many jobs of one user or group may train at once in a queue; 0 means no limit.",
    ).tag(config=True)

    max_running_jobs_per_user = Int(
        0,
        min=0,
        help="How many jobs that one user submitted may train at once in a queue, whosever they "
        "are by now; 0 means no limit.",
    ).tag(config=True)

    max_open_jobs_per_tenant = Int(
        100, help="How many jobs of one user or group may be open at once."
    ).tag(config=True)

    max_open_jobs_per_user = Int(
        0,
        min=0,
        help="How many jobs that one user submitted may be open at once, whosever they are by now; "
        "0 means no limit.",
    ).tag(config=True)

    queues = Dict(
        key_trait=Unicode(),
        value_trait=Dict(),
        help="Queues that are not as all others: name -> `labels` (an agent must carry all of them "
        "to serve it), `max_running_jobs` (of everybody together) and, in place of the options of "
        "these names, `max_running_jobs_per_tenant`, `max_running_jobs_per_user`, `max_attempts`, "
        "`lease_seconds` and `retry_seconds`. With `clearml_queue`, the name of a queue of "
        "ClearML, its jobs are trained by ClearML's workers; `clearml_restricted` lets them have "
        "restricted data, too. A queue that is not here is served by every agent.",
    ).tag(config=True)

    storage_quota_bytes = Int(
        20 * 1024 * MEBIBYTE,
        min=0,
        help="How much one user or group may keep here, in bytes: drafts, versions, checkpoints "
        "and adapters; 0 means no limit. `adaptery tenant quota` sets another for one of them.",
    ).tag(config=True)

    keep_checkpoints_days = Int(
        30,
        min=0,
        help="How long the checkpoints of a job that is over are kept, in days; 0 means for ever. "
        "`adaptery tenant retention` sets another number for the jobs of one user or group.",
    ).tag(config=True)

    keep_job_events_days = Int(
        365,
        min=0,
        help="How long the numbers and the log of a job that is over are kept, in days; 0 means "
        "for ever. Its summary stays. The same command sets another number for one of them.",
    ).tag(config=True)

    keep_usage_days = Int(
        0, min=0, help="How long usage is kept row by row, in days; 0 means for ever."
    ).tag(config=True)

    keep_idle_drafts_days = Int(
        0,
        min=0,
        help="After how many days without a change a dataset that was never published is deleted, "
        "with its draft; 0 means never.",
    ).tag(config=True)

    max_key_days = Int(
        90,
        min=1,
        max=36_500,
        help="How long an own key may live, in days; also how long one lives if its owner does not "
        "say.",
    ).tag(config=True)

    max_keys_per_tenant = Int(100, min=1, help="How many own keys in force one user may have.").tag(
        config=True
    )

    user_limits = Dict(
        key_trait=Enum(LIMITS),
        value_trait=Int(min=0),
        help="What one user may ask: `answers` at a time, `requests_per_minute` and "
        "`tokens_per_day` (prompts and answers, from midnight UTC). What is 0 or absent has no "
        "limit, but for the 64 requests that one user may have open anyway.",
    ).tag(config=True)

    owner_limits = Dict(
        key_trait=Enum(LIMITS),
        value_trait=Int(min=0),
        help="What may be asked of all adapters of one user or group together; as `user_limits`.",
    ).tag(config=True)

    adapter_limits = Dict(
        key_trait=Enum(LIMITS),
        value_trait=Int(min=0),
        help="What may be asked of one adapter; as `user_limits`. Who manages an adapter may set "
        "smaller ones for it.",
    ).tag(config=True)

    answers_per_agent = Int(
        32,
        min=1,
        help="How many answers one agent is asked for at a time; more wait in the gateway, where "
        "tenants take turns. As many as its engine computes together (`max_rows`), or fewer.",
    ).tag(config=True)

    answer_wait_seconds = Float(
        60.0,
        min=0.0,
        help="How long a request waits for an agent before it is refused, in seconds.",
    ).tag(config=True)

    waiting_answers_per_tenant = Int(
        500, min=1, help="How many requests of one user may wait for an agent at once."
    ).tag(config=True)

    waiting_answers = Int(
        2_000, min=1, help="How many requests may wait for an agent at once, of all users."
    ).tag(config=True)

    @default("default_base_model")
    def _default_default_base_model(self) -> str:
        return next(iter(self.base_models), "")

    @default("state_dir")
    def _default_state_dir(self) -> str:
        return str(Path.cwd() / "adaptery-state")

    @default("database_url")
    def _default_database_url(self) -> str:
        return f"sqlite:///{self.state_path / 'adaptery.sqlite'}"

    @default("key_store")
    def _default_key_store(self) -> str:
        return f"{self.state_path}-keys"

    @default("listen_url")
    def _default_listen_url(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:10101")

    @default("prefix")
    def _default_prefix(self) -> str:
        return os.environ.get("JUPYTERHUB_SERVICE_PREFIX", "/services/adaptery/")

    @validate("prefix")
    def _check_prefix(self, proposal: dict[str, str]) -> str:
        return "/" + proposal["value"].strip("/") + "/" if proposal["value"].strip("/") else "/"

    @validate("queues")
    def _check_queues(
        self, proposal: dict[str, dict[str, dict[str, object]]]
    ) -> dict[str, dict[str, object]]:
        for name, options in proposal["value"].items():
            try:
                parse(QueueOptions, options)
            except InvalidInputError as error:
                wrong = "; ".join(f"{fault.where}: {fault.reason}" for fault in error.errors)
                raise TraitError(f"queues[{name!r}]: {wrong}") from None
        return proposal["value"]

    @validate("logging_level")
    def _check_logging_level(self, proposal: dict[str, str]) -> str:
        if proposal["value"] not in LOGGING_LEVELS:
            raise TraitError(f"logging_level is one of {', '.join(LOGGING_LEVELS)}.")
        return proposal["value"]

    @cached_property
    def scrape_token(self) -> str:
        """The token in `scrape_token_file`, read once; empty if there is none."""
        if not self.scrape_token_file:
            return ""
        return Path(self.scrape_token_file).read_text(encoding="utf-8").strip()

    @property
    def state_path(self) -> Path:
        """`state_dir` as an absolute path."""
        return Path(self.state_dir).absolute()
