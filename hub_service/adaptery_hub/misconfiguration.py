"""What cannot work in a configuration, found while `jupyterhub_config.py` is read.

Found later it would end the service or its agent again and again, while the Hub waits for them. Not
here: what only the running service can see, such as a database that does not answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from traitlets import TraitError

from adaptery.base_models import BASE_MODEL_NAME, locate
from adaptery.embedding_models import EMBEDDING_MODEL_NAME, locate_embedding_model
from adaptery.errors import AdapteryError
from adaptery.schemas.common import SENSITIVITIES
from adaptery.schemas.review import QUEUES
from adaptery_hub.clearml.choosing import check_addresses, check_clearml, clearml_queues
from adaptery_hub.objects.credentials import read_credentials
from adaptery_hub.objects.place import refuse_other
from adaptery_hub.objects.seaweedfs import seaweedfs_binary
from adaptery_hub.settings import ServiceSettings
from adaptery_hub.tasks import TaskCatalog
from adaptery_network.agent.folders import model_slug

#: Source: Amazon S3 User Guide, "General purpose bucket naming rules".
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def check_models(
    models: Mapping[str, str],
    embedding: Mapping[str, str],
    default: str | None,
    pinned: Mapping[str, str],
) -> None:
    """Check the names of models.

    Raises:
        ValueError: one is missing, not well formed, or named twice.
    """
    if not models:
        raise ValueError("base_models is empty: name at least one base model and its source.")
    for kind, names in (("base model", models), ("embedding model", embedding)):
        for name in names:
            if name.count("/") != 1:
                raise ValueError(f"{kind} {name!r} must be named organisation/model.")
    if both := sorted(set(models) & set(embedding)):
        raise ValueError(f"{both[0]!r} is in base_models and in embedding_models.")
    if default and default not in models:
        raise ValueError(f"{default!r} is not one of base_models.")
    for name in pinned:
        if name not in models and name not in embedding:
            raise ValueError(f"{name!r} is not one of base_models or embedding_models.")


def check_options(options: Mapping[str, Any]) -> None:
    """Check the names and the values of options of the service.

    Raises:
        TypeError: the service has no such option.
        ValueError: it has, but cannot take that value.
    """
    known = ServiceSettings.class_trait_names(config=True)
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"the service has no option {', '.join(unknown)}; it has: {sorted(known)}")
    _check_policy(options.get("publish_policy", {}))
    for name, value in options.items():
        try:
            ServiceSettings(**{name: value})
        except TraitError as error:
            raise ValueError(f"the option {name} of the service cannot be so: {error}") from None


def _check_policy(policy: object) -> None:
    """Name what may stand there: traitlets would only say that a list is no list."""
    if not isinstance(policy, Mapping):
        return
    for sensitivity, queues in cast(Mapping[object, object], policy).items():
        named = cast(Sequence[object], queues) if isinstance(queues, list | tuple) else ()
        if wrong := [queue for queue in named if queue not in QUEUES]:
            raise ValueError(
                f"publish_policy: {wrong[0]!r} of {sensitivity!r} is no review queue; they are "
                f"{', '.join(QUEUES)}."
            )
        if sensitivity not in SENSITIVITIES:
            raise ValueError(
                f"publish_policy: {sensitivity!r} is no sensitivity; they are "
                f"{', '.join(SENSITIVITIES)}."
            )


def check_store(options: Mapping[str, Any]) -> None:
    """Check what the object store and the key store need, as far as it can be seen from here.

    Raises:
        ValueError: something is missing, or the keys would be in the backups of the rest.
    """
    settings = ServiceSettings(**options)
    state = settings.state_path.resolve()
    if Path(settings.key_store).resolve().is_relative_to(state):
        raise ValueError("key_store lies in state_dir: keys must not be in the same backup.")
    try:
        if settings.object_store == "seaweedfs":
            seaweedfs_binary()
        elif settings.object_store == "s3":
            if not settings.s3_bucket:
                raise ValueError("object_store is s3: set s3_bucket.")
            _check_address(settings)
            if settings.s3_credentials_file:
                read_credentials(Path(settings.s3_credentials_file))
        _check_place(settings)
    except AdapteryError as error:
        raise ValueError(f"object_store: {error}") from None


def _check_address(settings: ServiceSettings) -> None:
    url, bucket = settings.s3_endpoint_url, settings.s3_bucket
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.hostname):
        raise ValueError(f"s3_endpoint_url must be https://host[:port], not {url!r}.")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError(
            f"s3_bucket cannot be {bucket!r}: it has 3 to 63 of a-z, 0-9, . and -, and begins and "
            "ends with a letter or digit."
        )


def _check_place(settings: ServiceSettings) -> None:
    """Refuse another store than what is kept lies in, if the database is a file here.

    The service looks again, and there at every database.
    """
    url = make_url(settings.database_url)
    if url.get_backend_name() != "sqlite" or not url.database or not Path(url.database).exists():
        return
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            refuse_other(settings, connection)
    except SQLAlchemyError:
        return  # from before these tables: the service brings it up to date, and looks
    finally:
        engine.dispose()


def check_links(options: Mapping[str, Any]) -> None:
    """Check what ClearML needs, as far as it can be seen from here.

    Raises:
        ValueError: an address is none, or the file with its key cannot be used.
    """
    settings = ServiceSettings(**options)
    try:
        clearml_queues(settings)
        if settings.clearml_credentials_file:
            check_clearml(settings)
        elif settings.clearml_api_url:
            check_addresses(settings)
    except AdapteryError as error:
        raise ValueError(f"clearml: {error}") from None


def check_tasks(folder: Path) -> None:
    """Check the administrator's task files.

    Raises:
        ValueError: there is no such folder, or a file in it is no task.
    """
    if not folder.is_dir():
        raise ValueError(f"tasks_dir: there is no folder {folder}.")
    try:
        TaskCatalog.load(folder)
    except (AdapteryError, OSError) as error:
        raise ValueError(f"tasks_dir: {error}") from None


def check_agent(worker_slots: object, engine_threads: object) -> None:
    """Check the numbers of the local agent.

    Raises:
        ValueError: one is not a positive number.
    """
    for name, value in (("worker_slots", worker_slots), ("engine_threads", engine_threads)):
        if name == "engine_threads" and value is None:
            continue
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{name} must be a number of at least 1, not {value!r}.")


def check_sources(models: Mapping[str, str], embedding: Mapping[str, str], converted: Path) -> None:
    """Check that the models of this machine are there; what was converted needs no source.

    Args:
        models: base models, name to source.
        embedding: embedding models, name to source.
        converted: the folder of converted models.

    Raises:
        ValueError: the source of one is not there, or is no model.
    """
    for name, source in models.items():
        _check_source(name, source, locate, converted / model_slug(name) / BASE_MODEL_NAME)
    for name, source in embedding.items():
        marker = converted / model_slug(name) / EMBEDDING_MODEL_NAME
        _check_source(name, source, locate_embedding_model, marker)


def _check_source(name: str, source: str, find: Callable[[str], Path], marker: Path) -> None:
    if marker.exists():
        return
    try:
        find(source)
    except (AdapteryError, OSError) as error:
        raise ValueError(f"{name}: {source} cannot be its source: {error}") from None
