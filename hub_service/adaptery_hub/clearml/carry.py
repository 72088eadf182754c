"""One round about jobs: gives ClearML new tasks, ends others, and asks how the rest are.

Part of the program `register.py`, which reads and answers: it needs the standard library and
`clearml` only. All calls of a round go through one bounded session, some of them at a time.

What always holds:

- No call takes longer than its time, nor is tried for ever; what one task is refused costs no other
  its turn.
- A task is found by its tag before one is made: who was killed halfway leaves none behind.
- Nothing is believed but ids and states, and only in the shape that they must have.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

#: Calls at a time.
CALLS = 4
#: Seconds to connect and to wait for an answer.
CALL_SECONDS = (2, 10)
SECTION = "Adaptery"
#: How a worker of ClearML runs a job; the package is installed there.
ENTRY_POINT = "-m adaptery_network.clearml"
#: States in which a task does nothing any more.
ENDED = frozenset({"completed", "published", "closed", "failed", "stopped"})

Ask = Callable[..., Any]


class Refused(Exception):
    """ClearML said no to one call."""


class Away(Exception):
    """ClearML did not answer, or not as ClearML does."""


def carry(order: Mapping[str, Any], ask: Ask) -> dict[str, Any]:
    """Do one round; return what is placed, refused, ended, and the states of the others.

    Raises:
        Away: ClearML does not answer.
    """
    project = _project(ask, order["project"]) if order["place"] else ""
    queues = _queues(ask) if order["place"] else {}
    with ThreadPoolExecutor(CALLS) as pool:
        placing = {
            one["ref"]: pool.submit(_place, ask, one, project, queues) for one in order["place"]
        }
        ending = {id: pool.submit(_end, ask, id) for id in order["end"]}
        states = _states(ask, order["look"]) if order["look"] else {}
        placed, refused = {}, {}
        for ref, future in placing.items():
            try:
                placed[ref] = future.result()
            except Refused as no:
                refused[ref] = str(no)
        ended = [id for id, future in ending.items() if future.result()]
    return {"placed": placed, "refused": refused, "ended": ended, "states": states}


def open_session() -> Ask:
    """Log in; return what asks for an action of a service, and gives its data."""
    from clearml.backend_api.session.client import (  # pyright: ignore[reportMissingImports]
        StrictSession,
    )

    class Bounded(StrictSession):  # pyright: ignore[reportUntypedBaseClass]
        _session_initial_timeout = CALL_SECONDS
        _session_timeout = CALL_SECONDS
        _write_session_timeout = CALL_SECONDS

    api = json.loads(Path(os.environ["CLEARML_CONFIG_FILE"]).read_text())["api"]
    retries = {
        **{"total": 1, "connect": 1, "read": 0, "redirect": 1, "status": 0},
        **{"backoff_factor": 0.1, "backoff_max": 0.2},
    }
    session: Any = Bounded(
        api_key=api["credentials"]["access_key"],
        secret_key=api["credentials"]["secret_key"],
        host=api["api_server"],
        http_retries_config=retries,
    )

    def ask(service: str, action: str, **payload: object) -> Any:
        try:
            answer = session.send_request(service, action, json=payload)
            said = answer.json() if answer.status_code < 500 else None
        except Exception as error:
            raise Away(type(error).__name__) from None
        if said is None or not isinstance(said.get("data"), dict) or "meta" not in said:
            raise Away("nonsense")
        if answer.status_code >= 400:
            code = said["meta"].get("result_subcode")
            raise Refused(f"ClearML refused {service}.{action} (its code {code}).")
        return said["data"]

    return ask


def _project(ask: Ask, name: str) -> str:
    found = ask("projects", "get_all", name=f"^{re.escape(name)}$", only_fields=["id", "name"])[
        "projects"
    ]
    same = [one["id"] for one in found if one["name"] == name]
    return same[0] if same else ask("projects", "create", name=name, description="Adaptery")["id"]


def _queues(ask: Ask) -> dict[str, str]:
    found = ask("queues", "get_all", only_fields=["id", "name"])["queues"]
    return {one["name"]: one["id"] for one in found}


def _place(ask: Ask, one: Mapping[str, Any], project: str, queues: Mapping[str, str]) -> str:
    """Make a task and put it into a queue; return its id."""
    if one["queue"] not in queues:
        raise Refused("ClearML has no queue of that name.")
    tag = f"adaptery:{one['ref']}"
    for row in ask("tasks", "get_all", tags=[tag], only_fields=["id"])["tasks"]:
        ask("tasks", "delete", task=row["id"], force=True)  # its ticket is of use no more
    ticket = {"section": SECTION, "name": "ticket", "value": one["ticket"], "type": "str"}
    made = ask(
        "tasks",
        "create",
        name=one["name"],
        type="training",
        project=project,
        tags=[tag, *one["tags"]],
        script={
            "binary": "python",
            "repository": "",
            "working_dir": ".",
            "entry_point": ENTRY_POINT,
            "diff": "",
            "requirements": {"pip": ""},
        },
        hyperparams={SECTION: {"ticket": ticket}},
    )
    ask("tasks", "enqueue", task=made["id"], queue=queues[one["queue"]])
    return made["id"]


def _end(ask: Ask, id: str) -> bool:
    """End a task, if it is not over; whether ClearML has it as ended, or has it no more."""
    try:
        status = _states(ask, [id]).get(id)
        if status is not None and status not in ENDED:
            if status == "queued":
                ask("tasks", "dequeue", task=id)
            ask("tasks", "stop", task=id, force=True, status_reason="the job is over")
    except Refused:
        return False
    return True


def _states(ask: Ask, ids: list[str]) -> dict[str, str]:
    rows = ask("tasks", "get_all", id=ids, only_fields=["id", "status"], search_hidden=True)
    return {str(row["id"]): str(row["status"]) for row in rows["tasks"] if row["id"] in ids}
