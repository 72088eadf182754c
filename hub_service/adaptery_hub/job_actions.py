"""What can be done with a job: one table, of states and rights, that answers and routes share.

Not here: whether the caller still has a right on what the job learns from; submitting again looks
at that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from adaptery.errors import JobStateError, NotAllowedError
from adaptery.schemas.jobs import JobAction, Priority
from adaptery.states import FINAL_STATES, JobState
from adaptery_hub.identity import Identity
from adaptery_hub.permissions import Right

__all__ = ["ACTIONS", "Rule", "Standing", "actions_of", "check_action", "check_priority"]

_WAITING = frozenset({JobState.CREATED, JobState.QUEUED})
_ANY = frozenset(JobState)


@dataclass(frozen=True)
class Rule:
    """When something can be done: in which states, and with which right on the job or adapter."""

    states: frozenset[JobState]
    right: Right
    on_adapter: bool = False
    once_started: bool = False  # whether there is nothing to see before


ACTIONS: Mapping[JobAction, Rule] = {
    "cancel": Rule(_ANY - FINAL_STATES, Right.MANAGE),
    "prioritise": Rule(_WAITING, Right.MANAGE),
    "chat": Rule(frozenset({JobState.COMPLETED}), Right.USE, on_adapter=True),
    "download": Rule(frozenset({JobState.COMPLETED}), Right.VIEW, on_adapter=True),
    "compare": Rule(_ANY, Right.VIEW, once_started=True),
    "statistics": Rule(_ANY, Right.VIEW, once_started=True),
    "resubmit": Rule(FINAL_STATES, Right.VIEW),
    "clone": Rule(_ANY, Right.VIEW),
    "delete": Rule(FINAL_STATES, Right.MANAGE),
}


@dataclass(frozen=True)
class Standing:
    """What the rules look at, of one job and one caller."""

    state: JobState
    right: Right
    adapter_right: Right | None = None  # None: none, or there is no adapter
    answers: bool = True  # whether its adapter does; a reward model judges
    started: bool = True
    cancelling: bool = False  # whether it was cancelled, and its worker has not stopped yet


def actions_of(standing: Standing) -> list[JobAction]:
    """Returns what the caller can do with the job now."""
    return [action for action, rule in ACTIONS.items() if _is_open(action, rule, standing)]


def _is_open(action: JobAction, rule: Rule, standing: Standing) -> bool:
    if standing.state not in rule.states or (rule.once_started and not standing.started):
        return False
    if (action == "cancel" and standing.cancelling) or (action == "chat" and not standing.answers):
        return False
    right = standing.adapter_right if rule.on_adapter else standing.right
    return right is not None and right >= rule.right


def check_action(action: JobAction, state: JobState) -> None:
    """Refuses what the state of a job does not allow.

    Raises:
        JobStateError: It is in another state.
    """
    rule = ACTIONS[action]
    if state not in rule.states:
        known = " or ".join(word for word in JobState if word in rule.states)
        raise JobStateError(f"The job is {state}.", hint=f"possible while it is {known}")


def check_priority(priority: Priority, identity: Identity) -> None:
    """Looks whether the caller may give a job this priority.

    Raises:
        NotAllowedError: They may not.
    """
    if priority == "high" and "admin" not in identity.scopes:
        raise NotAllowedError(
            "High priority is for administrators, with a token of the scope custom:adaptery:admin.",
            hint="Use normal or low.",
        )
