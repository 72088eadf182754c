import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery_network import subjects
from support.sealed_parties import AGENT, OWNER


def test_subjects_are_as_the_contract_says():
    assert subjects.health(OWNER, AGENT) == f"ad.{OWNER}.health.{AGENT}"
    assert subjects.control(OWNER, AGENT) == f"ad.{OWNER}.control.{AGENT}"
    assert subjects.report(OWNER, AGENT) == f"ad.{OWNER}.report.{AGENT}"
    assert subjects.infer(OWNER, AGENT) == f"ad.{OWNER}.infer.{AGENT}"
    assert subjects.bulk(OWNER, AGENT) == f"ad.{OWNER}.bulk.{AGENT}"
    assert subjects.join(OWNER) == f"ad.{OWNER}.join"
    assert subjects.inbox_prefix(AGENT) == f"_INBOX_{AGENT}"


@pytest.mark.parametrize("verb", ["infer", "embed"])
def test_inference_verbs_go_to_infer(verb: str):
    assert subjects.for_verb(verb, OWNER, AGENT) == subjects.infer(OWNER, AGENT)


@pytest.mark.parametrize("verb", ["train", "fetch", "put"])
def test_other_verbs_go_to_control(verb: str):
    assert subjects.for_verb(verb, OWNER, AGENT) == subjects.control(OWNER, AGENT)


@given(st.text())
def test_nothing_but_an_id_becomes_part_of_a_subject(text: str):
    for make in (subjects.health, subjects.control, subjects.infer):
        with pytest.raises(ValueError, match="subject"):
            make(OWNER, text if text != "*" else "**")
        with pytest.raises(ValueError, match="subject"):
            make(text, AGENT)
    with pytest.raises(ValueError, match="inbox"):
        subjects.inbox_prefix(text)


def test_an_agent_is_read_from_its_subject_only():
    assert subjects.agent_of(subjects.report(OWNER, AGENT)) == AGENT
    with pytest.raises(ValueError, match="agent"):
        subjects.agent_of(subjects.join(OWNER))
