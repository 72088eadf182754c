"""From what somebody named to the id that a view takes: an object, an id, or a name."""

from __future__ import annotations

from dataclasses import replace

from adaptery.client import Dataset, Hub, Job, Version
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.ids import is_id
from adaptery.names import parse_name
from adaptery.schemas.adapters import Adapter


def dataset_id(hub: Hub, dataset: Dataset | str) -> str:
    """Return the id of a dataset.

    Raises:
        NotFoundError: there is none of that name that the caller may see.
        AdapteryError: the name means several, or the service cannot be asked.
    """
    if isinstance(dataset, Dataset):
        return dataset.id
    return dataset if is_id(dataset, "ds") else hub.datasets.get(dataset).id


def version_id(hub: Hub, version: Version | Dataset | str) -> str:
    """Return the id of a version; a dataset, or a name without a number, means the newest one.

    Raises:
        NotFoundError: there is none that the caller may see.
        AdapteryError: the name is not one, or the service cannot be asked.
    """
    if isinstance(version, Version):
        return version.id
    if isinstance(version, str) and is_id(version, "dv"):
        return version
    dataset, number = _dataset_of(hub, version)
    found = [v for v in dataset.versions() if number in (None, v.info.number)]
    if not found:
        wanted = "no version yet" if number is None else f"no version {number}"
        raise NotFoundError(f"{dataset.full_name} has {wanted}.", hint="publish() makes one")
    return found[-1].id


def _dataset_of(hub: Hub, version: Dataset | str) -> tuple[Dataset, int | None]:
    if isinstance(version, Dataset):
        return version, None
    if is_id(version, "ds"):
        return hub.datasets.get(version), None
    name = parse_name(version)
    return hub.datasets.get(str(replace(name, version=None))), name.version


def job_id(hub: Hub, job: Job | str) -> str:
    """Return the id of a job; a name means the newest job that is called so.

    Raises:
        NotFoundError: there is none that the caller may see.
        AdapteryError: the service cannot be asked.
    """
    if isinstance(job, Job):
        return job.id
    if is_id(job, "jb"):
        return job
    found = [seen for seen in hub.jobs.list() if job in (seen.info.name, seen.adapter)]
    if not found:
        raise NotFoundError(f"There is no job {job!r} that you may see.", hint="try Jobs()")
    return max(seen.id for seen in found)  # ids are made in the order of time


def model_name(model: Adapter | Job | str) -> str:
    """Return what a chat takes as its model.

    Raises:
        InvalidInputError: the job has made no adapter.
    """
    if isinstance(model, Adapter):
        return model.full_name
    if isinstance(model, Job):
        if model.adapter is None:
            raise InvalidInputError(
                "This job has made no adapter.", hint="wait for it, then call refresh()"
            )
        return model.adapter
    return model
