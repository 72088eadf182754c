"""What handlers work with: one container, built by the app, handed to every handler.

It holds no logic. Parts that exist only when a broker is configured are None without one.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from adaptery.signing import SigningKey
from adaptery.single_file import SingleFile
from adaptery_hub.admissions import Admissions
from adaptery_hub.turnstile import Turnstile

if TYPE_CHECKING:
    from adaptery.errors import AdapteryError
    from adaptery_hub.at_rest import AtRestDesk
    from adaptery_hub.base_model_files import BaseModelFiles
    from adaptery_hub.clearml.links import ClearmlLinks
    from adaptery_hub.compute import Compute
    from adaptery_hub.database import Database
    from adaptery_hub.drafts import Drafts
    from adaptery_hub.erasure import Eraser
    from adaptery_hub.hub_watch import HubWatch
    from adaptery_hub.identity import IdentitySource
    from adaptery_hub.imports import Imports, Tokenizers
    from adaptery_hub.key_limits import KeyLimits
    from adaptery_hub.keys import Keys
    from adaptery_hub.limits import Limits
    from adaptery_hub.metrics import Metrics
    from adaptery_hub.objects import ObjectStore
    from adaptery_hub.operations import Operations
    from adaptery_hub.processes import Processes
    from adaptery_hub.publishing import PublishedVersions, Publisher
    from adaptery_hub.publishing.diff_cache import DiffCache
    from adaptery_hub.publishing.exports import Exports
    from adaptery_hub.retention import Retention
    from adaptery_hub.settings import ServiceSettings
    from adaptery_hub.storage import StorageDesk
    from adaptery_hub.store_desk import StoreDesk
    from adaptery_hub.tenants import Tenants
    from adaptery_hub.uploads import Uploads

#: Streams of events that one tenant may have open.
STREAMS_PER_TENANT = 64
#: Answers of models that one tenant may be waiting for.
ANSWERS_PER_TENANT = 64
#: Reports on usage that one tenant may be waiting for: each adds up a long list.
REPORTS_PER_TENANT = 2
#: Versions that one tenant may be getting in another format: each is written anew.
EXPORTS_PER_TENANT = 2
#: Files that one tenant may be looking into: each is opened and read.
LOOKS_PER_TENANT = 2
#: Files of OpenAI's clients that one tenant may be sending: each is in memory as a whole.
FORMS_PER_TENANT = 2
#: How often a stopping service looks whether the last request is answered.
QUIET_POLL_SECONDS = 0.05
#: How long requests that are ended may take to say so.
END_SECONDS = 2.0


class Interruptible(Protocol):
    """A request that is being answered."""

    def interrupt(self, reason: AdapteryError) -> None:
        """End it with an error."""
        ...


@dataclass
class Services:
    """The parts of the running service."""

    settings: ServiceSettings
    db: Database
    objects: ObjectStore
    store_desk: StoreDesk
    at_rest: AtRestDesk
    eraser: Eraser
    identities: IdentitySource
    tenants: Tenants
    hub_watch: HubWatch
    keys: Keys
    key_limits: KeyLimits
    limits: Limits
    drafts: Drafts
    storage: StorageDesk
    retention: Retention
    uploads: Uploads
    imports: Imports
    model_files: BaseModelFiles
    tokenizers: Tokenizers
    operations: Operations
    processes: Processes
    publisher: Publisher
    #: Signs manifests of versions and adapters.
    manifest_key: SigningKey
    published: PublishedVersions
    diffs: DiffCache
    exports: Exports
    metrics: Metrics
    #: Tasks, jobs, agents and inference; None until `compute.start_compute` has built it.
    compute: Compute | None = None
    #: Tells ClearML of versions; None without a ClearML.
    clearml: ClearmlLinks | None = None
    #: Requests that are being answered; streams of events do not count, they end with the service.
    open_requests: set[Interruptible] = field(default_factory=set["Interruptible"])
    #: Whether the service ends: it takes no more requests.
    draining: bool = False
    admissions: Admissions = field(default_factory=Admissions)
    #: Requests that come together begin one by one.
    line: SingleFile = field(default_factory=SingleFile)
    streams: Turnstile = field(default_factory=lambda: Turnstile("streams", STREAMS_PER_TENANT))
    answers: Turnstile = field(default_factory=lambda: Turnstile("answers", ANSWERS_PER_TENANT))
    reports: Turnstile = field(default_factory=lambda: Turnstile("reports", REPORTS_PER_TENANT))
    exports_open: Turnstile = field(
        default_factory=lambda: Turnstile("exports", EXPORTS_PER_TENANT)
    )
    looks: Turnstile = field(default_factory=lambda: Turnstile("previews", LOOKS_PER_TENANT))
    forms: Turnstile = field(default_factory=lambda: Turnstile("uploads", FORMS_PER_TENANT))

    async def drain(self, seconds: float, reason: AdapteryError) -> None:
        """Take no more requests, let those that run end by themselves, then end them visibly.

        Args:
            seconds: that they have.
            reason: what those are told that are ended.
        """
        self.draining = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self.quiet(), seconds)
        for request in list(self.open_requests):
            request.interrupt(reason)
        with suppress(TimeoutError):
            await asyncio.wait_for(self.quiet(), END_SECONDS)

    async def quiet(self) -> None:
        """Wait until no request is being answered."""
        while self.open_requests:
            await asyncio.sleep(QUIET_POLL_SECONDS)
