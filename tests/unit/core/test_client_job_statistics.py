"""What a job cost, as its owner reads it."""

from adaptery.client.job_statistics import Statistics
from adaptery.schemas.job_statistics import AttemptStatistics, InputStatistics
from adaptery.states import AttemptOutcome


def statistics(**known: object) -> Statistics:
    numbers = dict.fromkeys(Statistics.model_fields)
    return Statistics.model_validate(
        {**numbers, "attempts": [], "inputs": [], "train_seconds": 61.0, **known}
    )


def test_what_was_not_measured_is_left_out() -> None:
    assert statistics().facts() == [("Whole time", "0:01:01"), ("Learnt from", "")]


def test_base_model_and_adapter_stand_below_each_other() -> None:
    scores = {"loss": 6.4405, "rouge_l": 0.0688, "exact_match": 0.25}
    evaluation = {"examples": 1, "base": {"loss": 7.0}, "adapter": scores}
    told = dict(statistics(summary={"evaluation": evaluation}).facts())
    assert told["Base model on 1 held out example"] == "loss 7"
    assert told["Adapter on 1 held out example"] == "loss 6.441, ROUGE-L 0.0688, exact 25.0%"


def test_a_notebook_shows_a_card() -> None:
    attempt = AttemptStatistics(
        number=1,
        agent="ag_1",
        started_at=None,
        ended_at=None,
        outcome=AttemptOutcome.LOST,
        reason="<gone>",
        checkpoints=0,
    )
    inputs = [InputStatistics(dataset="@demo/visits@1", split=None, records=1)]
    html = statistics(attempts=[attempt], inputs=inputs, tokens=12_345)._repr_html_()
    assert "12,345" in html and "@demo/visits@1 (1 record)" in html
    assert "on ag_1, lost: &lt;gone&gt;" in html
