"""The rule of who may do what, written down apart from the service, to compare the two.

For each operation of the route table that names a thing: which thing, and the right it takes. All
else follows: a caller who is not let in gets 401, one whose scope or kind of token is not enough
403, one without any right to the thing 404, one with too small a right 403, and everyone else is
answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from adaptery_hub.routes import Operation

#: What a scope includes besides itself.
INCLUDES = {"write": {"write", "read"}}


class Right(IntEnum):
    """Rights on a thing, smallest first."""

    NONE = 0
    USE = 1
    VIEW = 2
    EDIT = 3
    MANAGE = 4


@dataclass(frozen=True)
class Rule:
    """What an operation needs."""

    thing: str
    right: Right
    #: Whether it takes the thing away, or ends it: then each caller gets a new one.
    spends: bool = False
    #: Whether administrators may, without a right to the thing.
    admin: bool = False
    #: What else the token must hold: a key can do no more than the token that made it.
    also: frozenset[str] = frozenset()


_READ = Right.VIEW
_FILE = "api/datasets/{dataset}/files/{file}"
_TUNING = "v1/fine_tuning/jobs/{fine_tuning_job}"
RULES: dict[tuple[str, str], Rule] = {
    ("GET", "api/datasets/{dataset}"): Rule("dataset", _READ),
    ("PATCH", "api/datasets/{dataset}"): Rule("dataset", Right.EDIT),
    ("DELETE", "api/datasets/{dataset}"): Rule("dataset", Right.MANAGE, spends=True),
    ("GET", "api/datasets/{dataset}/files"): Rule("dataset", _READ),
    ("GET", "api/datasets/{dataset}/files/{file}"): Rule("dataset", _READ),
    ("PUT", "api/datasets/{dataset}/files/{file}"): Rule("dataset", Right.EDIT, spends=True),
    ("DELETE", "api/datasets/{dataset}/files/{file}"): Rule("dataset", Right.EDIT, spends=True),
    ("GET", f"{_FILE}/suggestion"): Rule("dataset", Right.EDIT),
    ("POST", f"{_FILE}/preview"): Rule("dataset", Right.EDIT),
    ("POST", f"{_FILE}/import"): Rule("dataset", Right.EDIT),
    ("GET", f"{_FILE}/problems"): Rule("dataset", _READ),
    ("GET", f"{_FILE}/content"): Rule("dataset", Right.EDIT),
    ("DELETE", f"{_FILE}/content"): Rule("dataset", Right.EDIT, spends=True),
    ("GET", "api/datasets/{dataset}/records"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/records"): Rule("dataset", Right.EDIT),
    ("POST", "api/datasets/{dataset}/records/search"): Rule("dataset", _READ),
    ("GET", "api/datasets/{dataset}/records/{record}"): Rule("dataset", _READ),
    ("PATCH", "api/datasets/{dataset}/records/{record}"): Rule("dataset", Right.EDIT),
    ("DELETE", "api/datasets/{dataset}/records/{record}"): Rule("dataset", Right.EDIT, spends=True),
    ("POST", "api/datasets/{dataset}/records/bulk"): Rule("dataset", Right.EDIT),
    ("POST", "api/datasets/{dataset}/records/{record}/restore"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/edits"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/edits/undo"): Rule("dataset", Right.EDIT, spends=True),
    ("POST", "api/datasets/{dataset}/edits/redo"): Rule("dataset", Right.EDIT, spends=True),
    ("POST", "api/datasets/{dataset}/edits/forget"): Rule("dataset", Right.EDIT),
    ("POST", "api/datasets/{dataset}/collate"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/sources"): Rule("dataset", _READ),
    ("DELETE", "api/datasets/{dataset}/sources/{source}"): Rule("dataset", Right.EDIT, spends=True),
    ("GET", "api/datasets/{dataset}/splits"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/splits"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/splits/leaks"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/splits/leaks"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/review"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/review"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/review/lengths"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/review/lengths"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/review/{queue}"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/review/{queue}/decisions"): Rule("dataset", Right.EDIT),
    ("POST", "api/datasets/{dataset}/review/{queue}/undo"): Rule("dataset", Right.EDIT),
    ("GET", "api/datasets/{dataset}/versions"): Rule("dataset", _READ),
    ("POST", "api/datasets/{dataset}/versions"): Rule("dataset", Right.MANAGE, spends=True),
    ("POST", "api/datasets/{dataset}/merges"): Rule("dataset", Right.MANAGE, spends=True),
    ("GET", "api/versions/{version}"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/manifest"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/records"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/download"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/export"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/diff"): Rule("dataset", _READ),
    ("GET", "api/versions/{version}/provenance"): Rule("dataset", _READ),
    ("POST", "api/versions/{version}/withdraw"): Rule("dataset", Right.MANAGE, spends=True),
    ("GET", "api/versions/{version}/access"): Rule("dataset", _READ),
    ("GET", "api/datasets/{dataset}/erase"): Rule("dataset", Right.MANAGE),
    ("POST", "api/datasets/{dataset}/erase"): Rule("dataset", Right.MANAGE),
    ("GET", "api/jobs/{job}"): Rule("job", _READ),
    ("PATCH", "api/jobs/{job}"): Rule("job", Right.MANAGE),
    ("DELETE", "api/jobs/{job}"): Rule("job", Right.MANAGE),
    ("POST", "api/jobs/{job}/cancel"): Rule("job", Right.MANAGE, spends=True),
    ("POST", "api/jobs/{job}/resubmit"): Rule("job", _READ),
    ("GET", "api/jobs/{job}/statistics"): Rule("job", _READ),
    ("GET", "api/jobs/{job}/events"): Rule("job", _READ),
    ("GET", "api/jobs/{job}/metrics"): Rule("job", _READ),
    ("GET", "api/jobs/{job}/log"): Rule("job", _READ),
    ("GET", "api/jobs/{job}/checkpoints"): Rule("job", _READ),
    # Of a job that has its adapter, as those here have; else see test_checkpoints.py.
    ("GET", "api/jobs/{job}/checkpoints/{step}/download"): Rule("adapter", _READ),
    ("GET", "api/adapters/{adapter}"): Rule("adapter", Right.USE),
    ("PATCH", "api/adapters/{adapter}"): Rule("adapter", Right.MANAGE),
    ("DELETE", "api/adapters/{adapter}"): Rule("adapter", Right.MANAGE, spends=True),
    ("GET", "api/adapters/{adapter}/download"): Rule("adapter", _READ),
    **{
        (verb, f"api/{kind}s/{{{kind}}}/grants"): Rule(kind, Right.MANAGE, spends=verb == "DELETE")
        for kind in ("dataset", "job", "adapter")
        for verb in ("GET", "PUT", "DELETE")
    },
    ("DELETE", "api/keys/{key}"): Rule("key", Right.MANAGE, spends=True, admin=True),
    ("POST", "api/keys/{key}/rotate"): Rule("key", Right.MANAGE, spends=True),
    ("GET", "api/operations/{operation}"): Rule("operation", Right.MANAGE),
    ("GET", "api/operations/{operation}/events"): Rule("operation", Right.MANAGE),
    ("DELETE", "api/operations/{operation}"): Rule("operation", Right.MANAGE),
    ("GET", "v1/models/{name:path}"): Rule("adapter", Right.USE),
    ("DELETE", "v1/models/{name:path}"): Rule("adapter", Right.MANAGE, spends=True),
    ("POST", "v1/chat/completions"): Rule("adapter", Right.USE),
    ("POST", "v1/completions"): Rule("adapter", Right.USE),
    ("GET", "a/{tenant}/{adapter}/v1/models"): Rule("adapter", Right.USE),
    ("GET", "a/{tenant}/{adapter}/v1/models/{name:path}"): Rule("adapter", Right.USE),
    ("POST", "a/{tenant}/{adapter}/v1/chat/completions"): Rule("adapter", Right.USE),
    ("POST", "a/{tenant}/{adapter}/v1/completions"): Rule("adapter", Right.USE),
    ("POST", "sealed/offer"): Rule("adapter", Right.USE),
    ("POST", "lorax"): Rule("adapter", Right.USE),
    ("POST", "lorax/"): Rule("adapter", Right.USE),
    ("POST", "lorax/generate"): Rule("adapter", Right.USE),
    ("POST", "lorax/generate_stream"): Rule("adapter", Right.USE),
    ("GET", "v1/files/{training_file}"): Rule("dataset", _READ),
    ("DELETE", "v1/files/{training_file}"): Rule("dataset", Right.MANAGE, spends=True),
    ("GET", "v1/files/{training_file}/content"): Rule("dataset", Right.EDIT),
    ("POST", "v1/fine_tuning/jobs"): Rule("dataset", Right.USE),
    ("GET", _TUNING): Rule("job", _READ),
    ("POST", f"{_TUNING}/cancel"): Rule("job", Right.MANAGE, spends=True),
    ("POST", f"{_TUNING}/pause"): Rule("job", Right.MANAGE),
    ("POST", f"{_TUNING}/resume"): Rule("job", Right.MANAGE),
    ("GET", f"{_TUNING}/events"): Rule("job", _READ),
    ("GET", f"{_TUNING}/checkpoints"): Rule("job", _READ),
    ("POST", "api/jobs"): Rule("dataset", Right.USE),
    ("POST", "api/jobs/preflight"): Rule("dataset", Right.USE),
    ("POST", "api/jobs/preflight/batch"): Rule("dataset", Right.VIEW),
    ("POST", "api/keys"): Rule("adapter", Right.USE, also=frozenset({"infer", "read"})),
}

#: What a field of a body names beside the thing that the operation is on, and what that takes.
FIELDS: dict[tuple[str, str], Rule] = {
    ("api/jobs", "validation"): Rule("dataset", Right.USE),
    ("api/jobs", "start_from"): Rule("adapter", _READ),
    ("api/jobs", "reward"): Rule("adapter", Right.USE),
    ("api/jobs", "cloned_from"): Rule("job", _READ),
    ("api/jobs/preflight", "validation"): Rule("dataset", Right.USE),
    ("api/jobs/preflight", "start_from"): Rule("adapter", _READ),
    ("api/jobs/preflight/batch", "validation"): Rule("dataset", _READ),
    ("v1/fine_tuning/jobs", "validation_file"): Rule("dataset", Right.USE),
    ("v1/fine_tuning/jobs", "model"): Rule("adapter", _READ),
}


@dataclass(frozen=True)
class Caller:
    """Who asks, as the rule sees it."""

    name: str
    #: Whether any token came that is valid now.
    known: bool = True
    scopes: frozenset[str] = frozenset({"read", "write", "infer"})
    #: Rights that were given one by one, or follow from owning: thing -> right.
    rights: dict[str, Right] | None = None
    #: An own key: it reaches only what the table opens to keys, and only its adapters.
    key: bool = False

    def right(self, thing: str) -> Right:
        """Return what the caller may do with a thing."""
        return (self.rights or {}).get(thing, Right.NONE)


def wanted_scopes(operation: Operation) -> set[str]:
    """Return the scopes of which one is needed."""
    words = set(operation.scope.split("|"))
    return words - {"open", "any", "session", "scrape"}


def expected(caller: Caller, operation: Operation, rule: Rule) -> int | None:
    """Return the status of the refusal; None if there must be none."""
    if not caller.known:
        return 401
    if caller.key and not operation.keys:
        return 403
    held = set().union(*(INCLUDES.get(scope, {scope}) for scope in caller.scopes))
    if wanted_scopes(operation) and not held & wanted_scopes(operation):
        return 403
    if rule.also - held:
        return 403
    if rule.admin and "admin" in held:
        return None
    right = caller.right(rule.thing)
    if right is Right.NONE:
        return 404
    return 403 if right < rule.right else None
