import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import IntegrityError
from adaptery.sealed import Session, derive_session_key, message_nonce, peek_session_id
from support.sealed_parties import AGENT, OWNER, START

ATTEMPT = "at_01j00000000000000000000005"
REPORT = f"ad.{OWNER}.report.{AGENT}"
BULK = f"ad.{OWNER}.bulk.{AGENT}"
MASTER = b"\x08" * 32


def session(attempt: str = ATTEMPT, agent: str = AGENT) -> Session:
    return Session(derive_session_key(MASTER, attempt, agent), attempt)


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=8)), st.binary(max_size=100))
def test_what_is_sealed_opens(header: dict[str, str], blob: bytes):
    payload = session().seal("up", REPORT, header, blob, sent_at=START)
    opened = session().open("up", REPORT, payload)
    assert (opened.header, opened.blob, opened.sent_at) == (header, blob, START)
    assert peek_session_id(payload) == ATTEMPT
    assert message_nonce(payload) == opened.nonce


def test_the_key_belongs_to_one_session_of_one_agent():
    keys = {
        derive_session_key(master, attempt, agent)
        for master in (MASTER, bytes(32))
        for attempt in (ATTEMPT, ATTEMPT + "x")
        for agent in (AGENT, AGENT + "x")
    }
    assert len(keys) == 8


def test_a_message_opens_only_where_it_belongs():
    payload = session().seal("up", REPORT, {}, sent_at=START)
    with pytest.raises(IntegrityError):
        session().open("down", REPORT, payload)
    with pytest.raises(IntegrityError):
        session().open("up", BULK, payload)
    with pytest.raises(IntegrityError):
        session(agent=AGENT[:-1] + "9").open("up", REPORT, payload)
    with pytest.raises(IntegrityError):
        session(attempt=ATTEMPT[:-1] + "9").open("up", REPORT, payload)


def test_an_answer_opens_only_for_its_request():
    first, second = (session().seal("up", REPORT, {"n": n}, sent_at=START) for n in (1, 2))
    answer = session().seal(
        "down", REPORT, {"ok": True}, sent_at=START, answers=message_nonce(first)
    )
    session().open("down", REPORT, answer, answers=message_nonce(first))
    with pytest.raises(IntegrityError):
        session().open("down", REPORT, answer, answers=message_nonce(second))
    with pytest.raises(IntegrityError):
        session().open("down", REPORT, answer)


@given(position=st.integers(min_value=0), mask=st.integers(1, 255))
def test_no_changed_byte_passes(position: int, mask: int):
    payload = bytearray(session().seal("up", REPORT, {"op": "list"}, b"blob", sent_at=START))
    payload[position % len(payload)] ^= mask
    with pytest.raises(IntegrityError):
        session().open("up", REPORT, bytes(payload))


@given(st.binary(max_size=60))
def test_no_random_bytes_pass(payload: bytes):
    with pytest.raises(IntegrityError):
        session().open("up", REPORT, payload)


def test_the_key_is_not_shown():
    assert repr(session().key) not in repr(session())
