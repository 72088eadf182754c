"""What can be done with a job, for every state and right."""

import pytest

from adaptery.errors import JobStateError
from adaptery.states import FINAL_STATES, JobState
from adaptery_hub.job_actions import ACTIONS, Standing, actions_of, check_action
from adaptery_hub.permissions import Right

ALWAYS = {"compare", "statistics", "clone"}
#: What each state offers to someone who may do everything, once the job has started.
FULL = {
    "created": {*ALWAYS, "cancel", "prioritise"},
    "queued": {*ALWAYS, "cancel", "prioritise"},
    "training": {*ALWAYS, "cancel"},
    "completed": {*ALWAYS, "chat", "download", "resubmit", "delete"},
    "failed": {*ALWAYS, "resubmit", "delete"},
    "cancelled": {*ALWAYS, "resubmit", "delete"},
}
#: What needs more than the right to view.
MANAGED = {"cancel", "prioritise", "delete"}
OF_ADAPTER = {"chat", "download"}


@pytest.mark.parametrize("state", JobState)
@pytest.mark.parametrize("right", Right)
def test_each_state_and_right_has_its_actions(state: JobState, right: Right) -> None:
    of_job = FULL[state] - OF_ADAPTER
    allowed = {Right.USE: set(), Right.MANAGE: of_job}.get(right, of_job - MANAGED)
    assert set(actions_of(Standing(state, right))) == allowed
    on_adapter = {Right.USE: {"chat"}}.get(right, OF_ADAPTER) & FULL[state]
    of_both = actions_of(Standing(state, Right.VIEW, adapter_right=right))
    assert set(of_both) & OF_ADAPTER == on_adapter


def test_what_has_not_started_shows_no_charts() -> None:
    waiting = Standing(JobState.QUEUED, Right.VIEW, started=False)
    assert actions_of(waiting) == ["clone"]


def test_a_reward_model_is_downloaded_and_not_asked() -> None:
    done = Standing(JobState.COMPLETED, Right.USE, adapter_right=Right.MANAGE, answers=False)
    assert actions_of(done) == ["download"]


def test_nothing_is_cancelled_twice() -> None:
    ending = Standing(JobState.TRAINING, Right.MANAGE, cancelling=True)
    assert "cancel" not in actions_of(ending)


@pytest.mark.parametrize("state", JobState)
def test_a_route_refuses_what_the_table_does_not_offer(state: JobState) -> None:
    for action, rule in ACTIONS.items():
        if state in rule.states:
            check_action(action, state)
        else:
            with pytest.raises(JobStateError) as caught:
                check_action(action, state)
            assert state in caught.value.message
    assert ACTIONS["delete"].states == FINAL_STATES
