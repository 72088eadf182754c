"""What the service tells an agent through a caller, what the agent tells the service back, and how
a reply travels between."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery import base64url
from adaptery.errors import IntegrityError, RefusedError
from adaptery.sealed import (
    CANCEL,
    MESSAGE_LIMIT_BYTES,
    REFUSAL,
    Once,
    OpenedRequest,
    PieceReader,
    Receipt,
    ReplyKey,
    RequestOpener,
    SealingKey,
    derive_cancel_key,
    is_receipt,
    open_receipt,
    open_terms,
    seal_request,
    seal_terms,
    sign_grant,
    sign_receipt,
    write_piece,
)
from support import sealed_parties as parties
from support.sealed_parties import (
    AGENT,
    CALLER,
    IDENTITY,
    OWNER,
    REPLY,
    SEALING,
    SERVICE,
    START,
    STRANGER,
    SUBJECT,
)

MASTER = b"\x07" * 32
BODY = {"base_model": {"name": "tiny"}, "cache_salt": "of-this-tenant"}
NONCE = "AAAAAAAAAAAAAAAAAAAAAA"


def terms() -> str:
    return seal_terms(derive_cancel_key(MASTER, NONCE), BODY, parties.card())


def opened(
    clock: parties.Clock, opener: RequestOpener, reply: str = REPLY, **changes: object
) -> OpenedRequest:
    fields: dict[str, object] = {"agent": AGENT, "terms": terms(), **changes}
    payload, _ = seal_request(
        card=parties.card(),
        verb="infer",
        subject=SUBJECT,
        reply=reply,
        grant=sign_grant(parties.grant(**fields), SERVICE),
        body={"prompt": "hi", "cache_salt": "of-another", "base_model": {"name": "other"}},
        caller_key=CALLER,
        now=clock(),
    )
    return opener.open(payload, SUBJECT, reply, "infer")


# -- terms ----------------------------------------------------------------------------------------


def test_terms_open_for_their_agent_and_nobody_else():
    found = open_terms(terms(), OWNER, AGENT, SEALING)
    assert found.body == BODY and found.canceller() == derive_cancel_key(MASTER, NONCE)
    other = parties.card(agent="ag_01j00000000000000000000009")
    for text, owner, agent, key in (
        (terms(), OWNER, AGENT, SealingKey.generate()),
        (terms(), OWNER, other.agent, SEALING),
        (terms(), "ow_01j00000000000000000000009", AGENT, SEALING),
        (terms()[:-4], OWNER, AGENT, SEALING),
        ("", OWNER, AGENT, SEALING),
        ("=", OWNER, AGENT, SEALING),
    ):
        with pytest.raises(IntegrityError):
            open_terms(text, owner, agent, key)
    assert "of-this-tenant" not in repr(found) and found.cancel_key not in repr(found)


def test_terms_win_over_what_the_caller_says():
    clock = parties.Clock()
    request = opened(clock, parties.opener(clock))
    assert request.body == {"prompt": "hi", **BODY}
    assert request.terms is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"agent": "ag_01j00000000000000000000009"},
        {"terms": "AAAA"},
        {"terms": base64url.encode(bytes(100))},
    ],
    ids=str,
)
def test_a_grant_for_another_agent_is_refused(changes: dict[str, object]):
    clock = parties.Clock()
    opener = parties.opener(clock)
    with pytest.raises(RefusedError):
        opened(clock, opener, **changes)
    assert opener.refusals == {"grant": 1}


def test_a_grant_with_terms_is_good_for_one_request():
    clock = parties.Clock()
    opener = parties.opener(clock)
    opened(clock, opener)
    for seconds in (0, 30, 29, 1):
        clock.move(seconds)
        with pytest.raises(RefusedError):  # another envelope, another stamp, the same grant
            opened(clock, opener)
    assert opener.refusals == {"replay": 3, "grant_expired": 1}
    other, later = "B" * 22, clock() + timedelta(seconds=9)
    opened(clock, opener, f"_INBOX_service.{other}", nonce=other, not_after=later)


@pytest.mark.parametrize("reply", [f"_INBOX_service.{'B' * 22}", NONCE[:-1], "_INBOX_service", "."])
def test_a_grant_with_terms_is_answered_at_its_own_address_only(reply: str):
    clock = parties.Clock()
    opener = parties.opener(clock)
    with pytest.raises(RefusedError):
        opened(clock, opener, reply)
    assert opener.refusals == {"address": 1}


def test_a_cancel_key_is_of_one_grant_and_of_one_deployment():
    keys = {derive_cancel_key(MASTER, n).raw for n in (NONCE, "B" * 22)}
    assert len(keys | {derive_cancel_key(b"\x08" * 32, NONCE).raw}) == 3
    cancel = derive_cancel_key(MASTER, NONCE).seal_cancel(REPLY)
    assert cancel[0] == CANCEL and not ReplyKey.generate().is_cancel(cancel, REPLY)


# -- used once ------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 30), st.integers(0, 5)), max_size=60))
def test_nothing_is_taken_twice_before_its_end(steps: list[tuple[int, int, int]]):
    once, now, ends = Once(), START, dict[str, object]()
    for name, life, wait in steps:
        now += timedelta(seconds=wait)
        end, before = now + timedelta(seconds=life), ends.get(str(name), START)
        try:
            once.take(str(name), end, now)
        except RefusedError:
            assert str(name) in ends  # perhaps kept longer than it had to be
        else:
            assert before <= now  # type: ignore[operator]
            ends[str(name)] = end


def test_a_full_memory_refuses_and_forgets_what_has_ended():
    once = Once(limit=2)
    for name in "ab":
        once.take(name, START + timedelta(seconds=1), START)
    with pytest.raises(RefusedError) as caught:
        once.take("c", START + timedelta(seconds=1), START)
    assert caught.value.reason == "overload"
    once.take("c", START + timedelta(seconds=3), START + timedelta(seconds=2))


# -- receipts -------------------------------------------------------------------------------------

RECEIPT = Receipt(grant=NONCE, prompt_tokens=3, completion_tokens=2, outcome="completed")


def test_a_receipt_opens_under_its_agents_key_only():
    signed = sign_receipt(RECEIPT, IDENTITY)
    assert is_receipt(signed) and open_receipt(signed, IDENTITY.verify_key) == RECEIPT
    assert not is_receipt(REFUSAL) and not is_receipt(bytes(40)) and not is_receipt(b"")
    with pytest.raises(IntegrityError):
        open_receipt(sign_receipt(RECEIPT, STRANGER), IDENTITY.verify_key)


@pytest.mark.parametrize(
    "change",
    [
        (b'"prompt_tokens":3', b'"prompt_tokens":9'),
        (b'"completed"', b'"cancelled"'),
        (b"}", b',"more":1}'),
        (b'"prompt_tokens":3', b'"prompt_tokens":3,"prompt_tokens":3'),
        (b"\xfe", b"\xff"),
        (b"}", b"}" + b" " * 2000),
    ],
    ids=str,
)
def test_a_changed_receipt_does_not_open(change: tuple[bytes, bytes]):
    changed = sign_receipt(RECEIPT, IDENTITY).replace(*change)
    with pytest.raises(IntegrityError):
        open_receipt(changed, IDENTITY.verify_key)


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_tokens": -1},
        {"prompt_tokens": True},
        {"completion_tokens": 2**31},
        {"completion_tokens": 1.5},
        {"outcome": "a prompt with spaces"},
        {"outcome": "x" * 41},
        {"grant": "x" * 65},
    ],
    ids=str,
)
def test_no_agent_signs_more_than_counts_and_a_word(fields: dict[str, object]):
    with pytest.raises(ValueError, match="validation error"):
        Receipt.model_validate({**RECEIPT.model_dump(), **fields})


# -- pieces ---------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.sampled_from(["frame", "problem"]), st.binary(max_size=300)), max_size=9),
    st.integers(1, 50),
)
def test_pieces_come_whole_whatever_the_portions(sent: list, size: int):
    wire = b"".join(write_piece(kind, payload) for kind, payload in sent)
    reader = PieceReader()
    found = [
        (piece.kind, piece.payload)
        for start in range(0, len(wire), size)
        for piece in reader.feed(wire[start : start + size])
    ]
    assert found == sent


@pytest.mark.parametrize(
    "wire",
    [bytes(4), (MESSAGE_LIMIT_BYTES + 2).to_bytes(4), b"\xff" * 4, (1).to_bytes(4) + b"\x02"],
)
def test_what_is_no_piece_is_an_error_at_once(wire: bytes):
    with pytest.raises(IntegrityError):
        list(PieceReader().feed(wire))
