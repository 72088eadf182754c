"""Each endpoint that datasets, jobs and their agents call, and no other."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from support.clearml_double.records import TASK_FIELDS, Document, Refused

if TYPE_CHECKING:
    from support.clearml_double.server import ClearmlDouble

#: What a server gives every task.
_EMPTY_TASK: Document = {
    "status": "created",
    "execution": {"artifacts": [], "parameters": {}},
    "output": {"destination": ""},
    "script": {},
    "runtime": {},
    "hyperparams": {},
    "configuration": {},
    "tags": [],
    "system_tags": [],
    "user": "double",
}

Endpoint = Callable[["ClearmlDouble", Any], Document]


def _create_task(double: ClearmlDouble, given: Document) -> Document:
    return {"id": double.tasks.add({**deepcopy(_EMPTY_TASK), **_known(given)})["id"]}


def _edit_task(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    if row["status"] != "created" and not given.get("force"):
        raise Refused(400, 110, "Invalid task status")
    fields = _known({name: value for name, value in given.items() if name != "task"})
    row.update(fields)
    return {"updated": 1, "fields": fields}


def _update_task(double: ClearmlDouble, given: Document) -> Document:
    return _edit_task(double, {**given, "force": True})


def _known(given: Document) -> Document:
    fields = {n: v for n, v in given.items() if n not in ("force", "method", "validate_tasks")}
    if unknown := set(fields) - TASK_FIELDS:
        raise Refused(400, 12, f"the stand-in knows no field {sorted(unknown)}")
    return fields


def _delete_task(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    if row["status"] != "created" and not given.get("force"):
        raise Refused(400, 123, "Task is not in created status, use force")
    del double.tasks.rows[row["id"]]
    return {"deleted": True}


def _set_status(status: str, *allowed: str) -> Endpoint:
    def change(double: ClearmlDouble, given: Document) -> Document:
        row = double.tasks.get(given["task"])
        if allowed and row["status"] not in allowed and not given.get("force"):
            raise Refused(400, 110, "Invalid task status")
        row["status"] = status
        return {"updated": 1, "fields": {"status": status}}

    return change


def _add_artifacts(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    kept = {a["key"]: a for a in row["execution"].get("artifacts", [])}
    kept |= {a["key"]: a for a in given["artifacts"]}
    row["execution"] = {**row["execution"], "artifacts": list(kept.values())}
    return {"updated": 1}


def _edit_hyperparams(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    sections = {name: dict(params) for name, params in (row.get("hyperparams") or {}).items()}
    for one in given["hyperparams"]:
        sections.setdefault(one["section"], {})[one["name"]] = one
    row["hyperparams"] = sections
    return {"updated": 1}


def _add_events(double: ClearmlDouble, given: list[Document]) -> Document:
    double.events += given
    return {"added": len(given), "errors": 0}


def _create_project(double: ClearmlDouble, given: Document) -> Document:
    if any(row["name"] == given["name"] for row in double.projects.rows.values()):
        raise Refused(400, 801, "Value combination already exists: project name")
    fields = {n: v for n, v in given.items() if n != "method"}
    names = {row["name"] for row in double.projects.rows.values()}
    parts = given["name"].split("/")
    for count in range(1, len(parts)):  # a server makes the projects above, too
        if (above := "/".join(parts[:count])) not in names:
            double.projects.add({"name": above})
    return {"id": double.projects.add(fields)["id"]}


def _update_project(double: ClearmlDouble, given: Document) -> Document:
    fields = {n: v for n, v in given.items() if n not in ("project", "method")}
    double.projects.get(given["project"]).update(fields)
    return {"updated": 1, "fields": fields}


def _enqueue(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    double.queues.get(given["queue"])
    if row["status"] == "queued":
        raise Refused(400, 706, "Task already queued")
    row |= {"status": "queued", "queue": given["queue"]}
    return {"queued": 1, "fields": {"status": "queued"}}


def _dequeue(double: ClearmlDouble, given: Document) -> Document:
    row = double.tasks.get(given["task"])
    if row["status"] != "queued":
        raise Refused(400, 704, "Task is not queued")
    row |= {"status": given.get("new_status") or "created", "queue": None}
    return {"dequeued": 1, "updated": 1, "fields": {}}


def _stop(double: ClearmlDouble, given: Document) -> Document:
    """Ask an agent to end a task; without an agent it ends at once."""
    row = double.tasks.get(given["task"])
    if row["status"] == "in_progress":
        row["status_message"] = "stopping"
    else:
        row["status"] = "stopped"
    return {"updated": 1, "fields": {"status": row["status"]}}


def _next_task(double: ClearmlDouble, given: Document) -> Document:
    double.queues.get(given["queue"])
    waiting = [
        row
        for row in double.tasks.rows.values()
        if row["status"] == "queued" and row.get("queue") == given["queue"]
    ]
    if not waiting:
        return {}
    waiting[0]["queue"] = None
    return {"entry": {"task": waiting[0]["id"], "added": waiting[0]["created"]}}


ENDPOINTS: dict[str, Endpoint] = {
    "workers.register": lambda double, given: {},
    "workers.status_report": lambda double, given: {},
    "workers.unregister": lambda double, given: {},
    "tasks.enqueue": _enqueue,
    "tasks.dequeue": _dequeue,
    "tasks.stop": _stop,
    "queues.create": lambda double, given: {"id": double.queues.add({"name": given["name"]})["id"]},
    "queues.get_all": lambda double, given: {"queues": double.queues.find(given)},
    "queues.get_by_id": lambda double, given: {"queue": double.queues.get(given["queue"])},
    "queues.get_next_task": _next_task,
    "tasks.create": _create_task,
    "tasks.edit": _edit_task,
    "tasks.update": _update_task,
    "tasks.delete": _delete_task,
    "tasks.get_by_id": lambda double, given: {"task": double.tasks.get(given["task"])},
    "tasks.get_all": lambda double, given: {"tasks": double.tasks.find(given)},
    "tasks.started": _set_status("in_progress", "created", "queued", "in_progress"),
    "tasks.completed": _set_status("completed", "in_progress", "stopped"),
    "tasks.stopped": _set_status("stopped"),
    "tasks.failed": _set_status("failed"),
    "tasks.ping": lambda double, given: {},
    "tasks.add_or_update_artifacts": _add_artifacts,
    "tasks.edit_hyper_params": _edit_hyperparams,
    "tasks.set_requirements": lambda double, given: {"updated": 1},
    "events.add_batch": _add_events,
    "projects.create": _create_project,
    "projects.update": _update_project,
    "projects.get_all": lambda double, given: {"projects": double.projects.find(given)},
    "projects.get_by_id": lambda double, given: {"project": double.projects.get(given["project"])},
}
