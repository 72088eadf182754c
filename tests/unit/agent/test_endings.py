import pytest

from adaptery.schemas.events import ErrorEvent
from adaptery.times import now
from adaptery_network.agent.endings import CANCELLED, DRAINED, Ending, judge_exit

ERROR = ErrorEvent(seq=1, at=now(), code="bad_data", reason="No records.", remedy="Add some.")
LIMIT = Ending("failed", "too long")


@pytest.mark.parametrize(
    ("code", "decided", "error", "outcome"),
    [
        (0, None, None, "completed"),
        (1, None, ERROR, "failed"),
        (1, None, None, "failed"),
        (2, None, None, "failed"),
        (73, None, None, "failed"),
        (75, None, None, "lost"),
        (-9, None, None, "lost"),
        (-11, None, ERROR, "lost"),
        (75, CANCELLED, None, "cancelled"),
        (0, CANCELLED, None, "cancelled"),
        (-9, LIMIT, None, "failed"),
        (75, DRAINED, None, "lost"),
        (-9, DRAINED, None, "lost"),
        (0, DRAINED, None, "completed"),
    ],
)
def test_an_exit_means(code, decided, error, outcome):
    assert judge_exit(code, decided, error).outcome == outcome


def test_the_words_of_the_worker_are_its_own_and_bounded():
    ending = judge_exit(1, None, ERROR)
    assert (ending.reason, ending.remedy) == ("No records.", "Add some.")
    assert ending.to_report()["reason"] == "No records."
    assert len(Ending("failed", "x" * 5000).to_report()["reason"]) == 2000
    assert "remedy" not in Ending("lost").to_report()
