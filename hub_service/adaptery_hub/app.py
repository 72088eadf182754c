"""The service's process: reads its options, builds its parts, serves until SIGTERM.

Run as: `python -m adaptery_hub.app --config service.json` with the JUPYTERHUB_* environment of a
Hub service. In a deployment the supervisor (`python -m adaptery_hub`) starts it.

Invariants:

- A misspelt option stops the start; traitlets alone would only warn.
- The schema is up to date and what a crash left is cleaned before the first request is taken.
- Everything the service keeps is readable by its own account only.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import os
import secrets
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from jupyterhub.services.auth import HubOAuth
from tornado.httpserver import HTTPServer
from tornado.web import RequestHandler
from traitlets import Unicode
from traitlets.config import Application

from adaptery import serving
from adaptery.files import write_atomic
from adaptery.signing import SigningKey
from adaptery_hub import compute, logs
from adaptery_hub.admissions import Admissions
from adaptery_hub.at_rest import AtRestDesk
from adaptery_hub.audit import AuditLog
from adaptery_hub.base_model_files import BaseModelFiles
from adaptery_hub.clearml.choosing import build_links
from adaptery_hub.curation.recovering import recover as recover_draft
from adaptery_hub.database import Database
from adaptery_hub.database.migrations import migrate
from adaptery_hub.database.statements import datasets as dataset_statements
from adaptery_hub.database.statements import storage as storage_statements
from adaptery_hub.database.statements import versions as version_statements
from adaptery_hub.database.statements.retention import KeepDays
from adaptery_hub.drafts import Drafts
from adaptery_hub.erasure import Eraser
from adaptery_hub.handlers.base import Handler
from adaptery_hub.handlers.lorax import LoraxNotFoundHandler
from adaptery_hub.handlers.not_found import OpenAINotFoundHandler
from adaptery_hub.handlers.page import LoginEndHandler, PageNotFoundHandler
from adaptery_hub.handlers.told_errors import stopping
from adaptery_hub.hub_watch import HubWatch
from adaptery_hub.identity import HubIdentities, IdentitySource
from adaptery_hub.imports import Imports, Tokenizers
from adaptery_hub.key_limits import KeyLimits
from adaptery_hub.key_store import KeyStore
from adaptery_hub.keys import KeyRules, Keys
from adaptery_hub.limits import Limit, Limits
from adaptery_hub.metrics import METHODS, Metrics
from adaptery_hub.objects.choosing import build_store
from adaptery_hub.objects.credentials import StoreConfigurationError
from adaptery_hub.objects.place import check_place
from adaptery_hub.operations import Operations
from adaptery_hub.processes import Processes
from adaptery_hub.publishing import MergedCache, PublishedVersions, Publisher, Rules
from adaptery_hub.publishing.diff_cache import DiffCache
from adaptery_hub.publishing.exports import Exports
from adaptery_hub.retention import Retention
from adaptery_hub.routes import Route, all_routes
from adaptery_hub.services import Services
from adaptery_hub.settings import MEBIBYTE, ServiceSettings
from adaptery_hub.storage import StorageDesk
from adaptery_hub.store_desk import StoreDesk
from adaptery_hub.succession import Succession
from adaptery_hub.tenants import Tenants
from adaptery_hub.uploads import Originals, Uploads
from adaptery_hub.web_application import WebApplication

# Named, not `__name__`: run as `-m adaptery_hub.app` this module is called `__main__`.
logger = logging.getLogger("adaptery_hub.app")

#: Sections of a config file that mean something here.
CONFIG_SECTIONS = frozenset({"AdapteryService", "ServiceSettings", "Application", "HubOAuth"})
#: How often interrupted uploads, and what was kept long enough, are looked through.
SWEEP_SECONDS = 3600.0
#: After a start those who waited for the service are served first.
PREPARE_SECONDS = 10.0
#: A refused body is read to its end up to so much more than the upload limit, so that the sender
#: reads the answer instead of a reset connection.
DRAIN_BYTES = 64 * MEBIBYTE
#: An idle keep-alive connection is closed after this long.
IDLE_CONNECTION_SECONDS = 600.0


class AdapteryService(ServiceSettings, Application):
    """The Adaptery service of a JupyterHub."""

    name = "adaptery-service"
    description = "Serves datasets, jobs, adapters and inference of one JupyterHub."
    aliases = {"config": "AdapteryService.config_file"}
    flags = {}

    config_file = Unicode(help="File with the service's options, .json or .py.").tag(config=True)

    def initialize(self, argv: Sequence[str] | None = None) -> None:
        """Read the command line and the config file.

        Raises:
            SystemExit: an option is misspelt, or the file is not there.
        """
        super().initialize(list(argv) if argv is not None else None)
        if self.config_file:
            path = Path(self.config_file).absolute()
            if not path.is_file():  # traitlets would go on without it
                sys.exit(f"The config file {path} is not there.")
            self.load_config_file(path.name.removesuffix(path.suffix), str(path.parent))
        if problems := list(self._unknown_options()):
            sys.exit("\n".join(problems))

    def start(self) -> None:
        """Serve until SIGTERM or SIGINT."""
        os.umask(0o077)
        logs.set_up_logging(self.logging_level)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        hub_auth = HubOAuth.instance(cache_max_age=self.identity_cache_seconds)
        services = build_services(self, HubIdentities(hub_auth))
        try:
            await start_services(services)
        except StoreConfigurationError as error:
            sys.exit(str(error))
        server = listen(services)
        background = [
            asyncio.create_task(_sweep_for_ever(services)),
            asyncio.create_task(services.hub_watch.run()),
            asyncio.create_task(_prepare_processes(services)),
        ]
        serving.settle()
        logs.log(logger, logging.INFO, "service_started")
        await stop.wait()
        logs.log(logger, logging.INFO, "service_stopping")
        for task in background:
            task.cancel()
        # Whoever asks meanwhile is told to come again, rather than find nobody.
        await services.drain(self.shutdown_seconds, stopping())
        server.stop()
        await server.close_all_connections()
        await stop_services(services)

    def _unknown_options(self) -> list[str]:
        known = set(self.trait_names(config=True))
        problems = []
        for section, values in self.config.items():
            if section not in CONFIG_SECTIONS:
                problems.append(f"Unknown section {section!r} in the config file.")
            elif section != "HubOAuth":
                problems += [
                    f"Unknown option {section}.{name}." + _suggest(name, known)
                    for name in values
                    if name not in known
                ]
        return problems


def build_services(settings: ServiceSettings, identities: IdentitySource) -> Services:
    """Build the parts of the service; nothing runs yet."""
    state = settings.state_path
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = Database(settings.database_url)
    objects = build_store(settings, database)
    keys = KeyStore(Path(settings.key_store))
    at_rest = AtRestDesk(keys)
    drafts = Drafts(state / "drafts", settings.max_draft_records)
    metrics = Metrics()
    store_desk = StoreDesk(objects, metrics)
    audit = AuditLog(compute.AUDIT_WRITER)
    succession = Succession(audit, _organisations(settings))
    tenants = Tenants(database, succession)
    admissions = Admissions()
    storage = StorageDesk(database, settings.storage_quota_bytes, settings.keep_checkpoints_days)
    originals = Originals(state / "uploads")
    uploads = Uploads(originals, database, metrics, at_rest, settings.max_upload_bytes)
    operations = Operations(database, metrics)
    processes = Processes(settings.process_memory_bytes, settings.logging_level)
    rules = KeyRules(settings.max_key_days, settings.max_keys_per_tenant)
    key = _manifest_key(state / "keys" / "manifest.seed")
    cache = state / "cache"
    merged = MergedCache(
        cache / "merged",
        key,
        processes,
        at_rest,
        settings.shard_records,
        settings.merged_cache_bytes,
    )
    published = PublishedVersions(objects, key.verify_key, at_rest, merged, cache / "indexes")
    diffs = DiffCache(cache / "diffs", published, processes)
    eraser = Eraser(database, drafts, uploads, objects, keys, published, audit, diffs.clear)
    model_files = BaseModelFiles(state / "base-models")
    tokenizers = Tokenizers(settings.base_models, settings.default_base_model, model_files)
    return Services(
        settings=settings,
        db=database,
        objects=objects,
        store_desk=store_desk,
        at_rest=at_rest,
        eraser=eraser,
        identities=identities,
        tenants=tenants,
        hub_watch=HubWatch(database, identities, succession, admissions.recheck_all),
        keys=Keys(database, identities, tenants, rules),
        key_limits=KeyLimits(database),
        limits=Limits(
            database,
            Limit.read(settings.user_limits),
            Limit.read(settings.owner_limits),
            Limit.read(settings.adapter_limits),
        ),
        drafts=drafts,
        storage=storage,
        retention=Retention(
            database, objects, drafts, uploads, audit, operations, eraser, _keep_days(settings)
        ),
        uploads=uploads,
        imports=Imports(
            database,
            drafts,
            uploads,
            operations,
            processes,
            storage,
            metrics,
            tokenizers,
        ),
        model_files=model_files,
        tokenizers=tokenizers,
        operations=operations,
        processes=processes,
        publisher=Publisher(
            database,
            drafts,
            uploads,
            objects,
            at_rest,
            key,
            state / "staging",
            _publish_rules(settings),
            storage,
            processes,
            lambda: store_desk.level,
            published.forget,
        ),
        manifest_key=key,
        published=published,
        diffs=diffs,
        exports=Exports(cache / "exports", published, processes),
        metrics=metrics,
        clearml=build_links(settings, database, objects, audit, metrics),
        admissions=admissions,
    )


async def start_services(services: Services) -> None:
    """Bring the schema up to date, clean up after a crash, start what runs in the background.

    Raises:
        StoreConfigurationError: what is kept lies in another store than is set.
    """
    await asyncio.to_thread(migrate, services.db.engine)
    await services.db.read(lambda c: check_place(services.settings, c))
    if count := await services.db.read(version_statements.clear_restricted):
        logs.log(logger, logging.WARNING, "restricted_versions_in_clear", count=count)
    services.store_desk.start()
    left = await services.operations.recover()
    for row in left:
        if row["kind"] in ("publish", "merge"):
            await asyncio.to_thread(services.publisher.sweep, row["thing_id"])
    await services.eraser.recover()
    await _remove_orphans(services)
    for row in left:
        await recover_draft(services.db, services.drafts, row)
    await _count_drafts(services)
    await services.uploads.place_left()
    await services.imports.recover()
    await services.uploads.seal_left()
    await services.uploads.sweep(services.settings.upload_keep_hours * 3600)
    if services.clearml is not None:
        services.clearml.start()
    await compute.start_compute(services)


async def stop_services(services: Services) -> None:
    """End what runs in the background and close every file."""
    await compute.stop_compute(services)
    await services.operations.stop()
    if services.clearml is not None:
        await services.clearml.stop()
    await services.store_desk.stop()
    await asyncio.to_thread(_close, services)


def make_web_application(services: Services) -> WebApplication:
    """Build the tornado application from the route table."""
    prefix = services.settings.prefix
    rules: list[tuple[str, type[RequestHandler], dict[str, object]]] = [
        (prefix + route.pattern, route.handler, {"services": services, "route": route})
        for route in sorted(all_routes(), key=_is_seldom)
    ]
    unknown = Route("(unknown)", PageNotFoundHandler, {})
    given: dict[str, object] = {"services": services, "route": unknown}
    rules.append((f"{prefix}oauth_callback", LoginEndHandler, {}))
    rules.append((f"{prefix}(?:v1|a)/.*", OpenAINotFoundHandler, given))
    rules.append((f"{prefix}lorax/.*", LoraxNotFoundHandler, given))
    return WebApplication(
        services.line,
        rules,  # pyright: ignore[reportArgumentType]
        default_handler_class=PageNotFoundHandler,
        default_handler_args=given,
        cookie_secret=_cookie_secret(services.settings.state_path / "keys" / "cookie.secret"),
        log_function=_log_request,
    )


def _is_seldom(route: Route) -> bool:
    """Put those last that are asked least: tornado tries one after the other."""
    return not route.pattern.startswith("v1/")


def listen(services: Services) -> HTTPServer:
    """Begin to take requests.

    Raises:
        OSError: the port is taken.
    """
    settings = services.settings
    server = HTTPServer(
        make_web_application(services),
        xheaders=settings.trust_proxy_headers,
        max_body_size=2 * settings.max_upload_bytes + DRAIN_BYTES,
        idle_connection_timeout=IDLE_CONNECTION_SECONDS,
    )
    address = urlsplit(settings.listen_url)
    port = 80 if address.port is None else address.port
    server.listen(port, address.hostname or "127.0.0.1")
    return server


def _publish_rules(settings: ServiceSettings) -> Rules:
    blocking = {name: tuple(queues) for name, queues in settings.publish_policy.items()}
    return Rules(
        settings.shard_records,
        settings.max_draft_records,
        blocking,
        tuple(settings.publish_originals),
    )


def _log_request(handler: RequestHandler) -> None:
    if not isinstance(handler, Handler):
        return
    seconds = handler.request.request_time()
    method, template = handler.request.method or "", handler.route.template
    handler.services.metrics.observe_request(method, template, handler.get_status(), seconds)
    identity = handler.current_user
    logs.log(
        logger,
        logging.INFO,
        "request",
        method=method if method in METHODS else "other",
        route=template,
        status=handler.get_status(),
        milliseconds=round(seconds * 1000),
        tenant=identity.tenant_id if identity else None,
        request_id=handler.request_id,
    )


async def _remove_orphans(services: Services) -> None:
    """Remove drafts and uploads whose dataset is gone, or was never made."""
    known = await services.db.read(dataset_statements.all_ids)
    for dataset_id in set(services.drafts.dataset_ids()) - known:
        await services.drafts.remove(dataset_id)
    for dataset_id in set(services.uploads.originals.dataset_ids()) - known:
        await services.uploads.remove(dataset_id)


async def _count_drafts(services: Services) -> None:
    """Note the sizes of drafts from before they were counted."""
    for dataset_id in await services.db.read(storage_statements.uncounted_drafts):
        size = await services.drafts.size(dataset_id)
        await services.db.write(
            lambda c, d=dataset_id, s=size: storage_statements.count_draft(c, d, s)
        )


async def _prepare_processes(services: Services) -> None:
    """Have the first long step find its process ready: on a busy machine that takes long."""
    await asyncio.sleep(PREPARE_SECONDS)
    await asyncio.to_thread(services.processes.prepare)


async def _sweep_for_ever(services: Services) -> None:
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        try:
            await services.uploads.sweep(services.settings.upload_keep_hours * 3600)
            await compute.log_audit_tail(services)
            await services.retention.sweep()
        except Exception as error:
            logs.log_exception(logger, "sweep_failed", error)


def _close(services: Services) -> None:
    services.imports.close()
    services.uploads.close()
    services.exports.close()
    services.published.close()
    services.drafts.close()
    services.db.close()


def _keep_days(settings: ServiceSettings) -> KeepDays:
    return KeepDays(
        checkpoints=settings.keep_checkpoints_days,
        job_events=settings.keep_job_events_days,
        usage=settings.keep_usage_days,
        drafts=settings.keep_idle_drafts_days,
    )


def _organisations(settings: ServiceSettings) -> set[str]:
    """Return the first parts of the names of the models, as slugs are spelt."""
    names = {*settings.base_models, *settings.embedding_models}
    return {name.partition("/")[0].lower() for name in names if "/" in name}


def _manifest_key(path: Path) -> SigningKey:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        SigningKey.generate().write_seed_file(path)
    return SigningKey.from_seed_file(path)


def _cookie_secret(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, secrets.token_bytes(32))
    return path.read_bytes()


def _suggest(name: str, known: set[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {close[0]}?" if close else ""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the service with the options of the command line."""
    service = AdapteryService()
    service.initialize(argv)
    service.start()


if __name__ == "__main__":
    main()
