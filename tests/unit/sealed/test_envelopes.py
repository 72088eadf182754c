import re
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError, RefusedError, TooLargeError
from adaptery.sealed import (
    RefusalReason,
    ReplyKey,
    SealingKey,
    request_info,
    seal,
    seal_request,
    sign_grant,
    signed_bytes,
)
from adaptery.sealed.documents import canonical
from support import sealed_parties as parties
from support.sealed_parties import AGENT, CALLER, OWNER, REPLY, START, STRANGER, SUBJECT

CANARY = "canary-7f3a"


def sealed(**changes: object) -> bytes:
    """A good request for `SUBJECT` and `REPLY`, or one that differs in what a test names."""
    arguments: dict = {
        "card": parties.card(),
        "verb": "infer",
        "subject": SUBJECT,
        "reply": REPLY,
        "grant": parties.token(),
        "body": {"prompt": CANARY},
        "caller_key": CALLER,
        "now": START,
    }
    return seal_request(**arguments | changes)[0]


def handmade(**changes: object) -> bytes:
    """A request with arbitrary contents, well sealed and well signed."""
    contents = {
        "grant": parties.token(),
        "reply_key": base64url.encode(bytes(32)),
        "body": {},
        "sent_at": "2026-05-04T12:00:00.000Z",
        "nonce": base64url.encode(bytes(16)),
    } | changes
    contents = {name: value for name, value in contents.items() if value is not ...}
    info = request_info("infer", OWNER, AGENT)
    body = seal(canonical(contents), parties.SEALING.public_text, info)
    return b"\x01" + body + CALLER.sign(signed_bytes(SUBJECT, REPLY, body))


def refusal(payload: bytes, subject: str = SUBJECT, reply: str | None = REPLY, verb: str = "infer"):
    opener = parties.opener(parties.Clock())
    with pytest.raises(RefusedError) as caught:
        opener.open(payload, subject, reply, verb)
    assert str(caught.value) == str(RefusedError())  # the same words whatever the reason
    assert caught.value.to_problem("rq")["detail"] == RefusedError().message
    assert opener.refusals == {caught.value.reason: 1}
    assert opener.accepted == 0
    return caught.value.reason


def test_a_good_request_opens_once_with_its_body_grant_and_key():
    opener = parties.opener(parties.Clock())
    payload, reply_key = seal_request(
        card=parties.card(),
        verb="infer",
        subject=SUBJECT,
        reply=REPLY,
        grant=parties.token(),
        body={"prompt": "e\u0301 \U0001f600 \x00", "temperature": 0.5},
        caller_key=CALLER,
        now=START,
    )
    opened = opener.open(payload, SUBJECT, REPLY, "infer")
    assert opened.body == {"prompt": "e\u0301 \U0001f600 \x00", "temperature": 0.5}
    assert opened.grant == parties.grant()
    assert opened.reply_key == reply_key
    assert opener.accepted == 1
    with pytest.raises(RefusedError) as caught:
        opener.open(payload, SUBJECT, REPLY, "infer")
    assert caught.value.reason == RefusalReason.REPLAY


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda: b"", RefusalReason.MALFORMED, id="empty"),
        pytest.param(lambda: b"\x02" + sealed()[1:], RefusalReason.MALFORMED, id="other suite"),
        pytest.param(lambda: sealed()[:-1], RefusalReason.SEAL, id="truncated by one"),
        pytest.param(lambda: sealed()[:100], RefusalReason.MALFORMED, id="truncated by most"),
        pytest.param(lambda: sealed() + b"x", RefusalReason.SEAL, id="longer"),
        pytest.param(lambda: sealed(subject=SUBJECT + "x"), RefusalReason.SIGNATURE, id="subject"),
        pytest.param(lambda: sealed(reply=REPLY + "x"), RefusalReason.SIGNATURE, id="reply"),
        pytest.param(lambda: sealed(verb="train"), RefusalReason.SEAL, id="sealed for other verb"),
        pytest.param(
            lambda: sealed(card=parties.card(agent="ag_01j00000000000000000000009")),
            RefusalReason.SEAL,
            id="sealed for another agent's name",
        ),
        pytest.param(
            lambda: sealed(card=parties.card(sealing_key=SealingKey.generate().public_text)),
            RefusalReason.SEAL,
            id="sealed to another key",
        ),
        pytest.param(lambda: sealed(caller_key=STRANGER), RefusalReason.SIGNATURE, id="signer"),
        pytest.param(lambda: sealed(grant=""), RefusalReason.NO_GRANT, id="empty grant"),
        pytest.param(lambda: handmade(grant=...), RefusalReason.NO_GRANT, id="no grant"),
        pytest.param(lambda: handmade(grant=7), RefusalReason.GRANT, id="grant is a number"),
        pytest.param(lambda: sealed(grant="a.b"), RefusalReason.GRANT, id="nonsense grant"),
        pytest.param(lambda: sealed(grant="A" * 9000), RefusalReason.GRANT, id="huge grant"),
        pytest.param(
            lambda: sealed(grant=sign_grant(parties.grant(), STRANGER)),
            RefusalReason.GRANT,
            id="grant signed by a stranger",
        ),
        pytest.param(
            lambda: sealed(grant=parties.token(not_after=START)),
            RefusalReason.GRANT_EXPIRED,
            id="grant ended this instant",
        ),
        pytest.param(
            lambda: sealed(grant=parties.token(verb="train")), RefusalReason.VERB, id="grant's verb"
        ),
        pytest.param(
            lambda: sealed(grant=parties.token(caller_key="ed25519:zz")),
            RefusalReason.SIGNATURE,
            id="grant names no key",
        ),
        pytest.param(
            lambda: sealed(now=START - timedelta(seconds=1)),
            RefusalReason.BEFORE_START,
            id="before start",
        ),
        pytest.param(
            lambda: sealed(now=START + timedelta(seconds=61)), RefusalReason.STALE, id="ahead"
        ),
        pytest.param(
            lambda: sealed(now=START - timedelta(seconds=61)), RefusalReason.STALE, id="behind"
        ),
        pytest.param(lambda: handmade(extra=1), RefusalReason.MALFORMED, id="unknown field"),
        pytest.param(lambda: handmade(body=[]), RefusalReason.MALFORMED, id="body is a list"),
        pytest.param(lambda: handmade(nonce="AA"), RefusalReason.MALFORMED, id="short nonce"),
        pytest.param(lambda: handmade(reply_key="AA"), RefusalReason.MALFORMED, id="short key"),
        pytest.param(lambda: handmade(sent_at="soon"), RefusalReason.MALFORMED, id="no time"),
        pytest.param(
            lambda: handmade(sent_at="2026-05-04T12:00:00"), RefusalReason.MALFORMED, id="naive"
        ),
    ],
)
def test_everything_else_is_refused_alike_and_counted(
    make: Callable[[], bytes], reason: RefusalReason
):
    assert refusal(make()) == reason


def test_a_good_handmade_request_opens():
    parties.opener(parties.Clock()).open(handmade(), SUBJECT, REPLY, "infer")


def test_a_request_that_is_moved_elsewhere_is_refused():
    train = SUBJECT.replace(".infer.", ".control.")
    assert refusal(sealed(), subject=train) == RefusalReason.SIGNATURE
    assert refusal(sealed(), reply="_INBOX_thief.1") == RefusalReason.SIGNATURE
    assert refusal(sealed(), reply=None) == RefusalReason.ADDRESS
    assert refusal(sealed(), verb="train") == RefusalReason.SEAL


@given(position=st.integers(min_value=0), mask=st.integers(1, 255))
def test_no_changed_byte_passes(position: int, mask: int):
    payload = bytearray(sealed())
    payload[position % len(payload)] ^= mask
    opener = parties.opener(parties.Clock())
    with pytest.raises(RefusedError):
        opener.open(bytes(payload), SUBJECT, REPLY, "infer")


@given(st.binary(max_size=400))
def test_no_random_bytes_pass(payload: bytes):
    with pytest.raises(RefusedError):
        parties.opener(parties.Clock()).open(payload, SUBJECT, REPLY, "infer")


def test_a_refused_request_does_not_burn_its_nonce():
    opener = parties.opener(parties.Clock())
    payload = sealed()
    with pytest.raises(RefusedError):
        opener.open(payload, SUBJECT, REPLY + "x", "infer")
    opener.open(payload, SUBJECT, REPLY, "infer")


def test_a_request_stamped_in_the_starting_millisecond_is_not_from_before():
    clock = parties.Clock(START + timedelta(microseconds=700))
    opener = parties.opener(clock)
    opener.open(sealed(now=clock()), SUBJECT, REPLY, "infer")


def test_the_payload_shows_nothing_of_the_body():
    payload = sealed()
    assert CANARY.encode() not in payload
    assert parties.grant().thing.encode() not in payload


def test_what_is_opened_is_not_shown_by_repr():
    opener = parties.opener(parties.Clock())
    payload, reply_key = seal_request(
        card=parties.card(),
        verb="infer",
        subject=SUBJECT,
        reply=REPLY,
        grant=parties.token(),
        body={"prompt": CANARY},
        caller_key=CALLER,
        now=START,
    )
    shown = repr(opener.open(payload, SUBJECT, REPLY, "infer")) + repr(parties.SEALING)
    assert CANARY not in shown
    assert repr(reply_key.raw) not in shown
    assert not re.search(r"\\x05\\x05", shown)


def test_a_request_that_no_message_carries_is_too_large():
    with pytest.raises(TooLargeError, match="limit"):
        sealed(body={"prompt": "x" * 2**20})


@pytest.mark.parametrize("value", [float("nan"), 2**60, "\ud800", object()])
def test_a_value_that_json_cannot_carry_is_named_without_being_quoted(value: object):
    with pytest.raises(InvalidInputError) as caught:
        sealed(body={"prompt": value})
    assert caught.value.__cause__ is None


def test_nothing_is_sealed_to_an_ended_card():
    with pytest.raises(IntegrityError, match="ended"):
        sealed(now=START + timedelta(days=1))


def test_a_reply_key_has_32_bytes():
    assert len(ReplyKey.generate().raw) == 32
    assert ReplyKey.generate() != ReplyKey.generate()


def test_where_two_verbs_are_served_a_request_opens_for_its_own_only():
    opener = parties.opener(parties.Clock())
    for verb in ("infer", "embed"):
        payload = sealed(verb=verb, grant=parties.token(verb=verb))
        assert opener.open(payload, SUBJECT, REPLY, "infer", "embed").grant.verb == verb
    crossed = {
        "a grant to infer embeds nothing": sealed(verb="embed"),
        "nor the other way round": sealed(grant=parties.token(verb="embed")),
    }
    for payload in crossed.values():
        with pytest.raises(RefusedError) as caught:
            opener.open(payload, SUBJECT, REPLY, "infer", "embed")
        assert caught.value.reason == RefusalReason.VERB
    with pytest.raises(RefusedError):
        opener.open(
            sealed(verb="train", grant=parties.token(verb="train")),
            SUBJECT,
            REPLY,
            "infer",
            "embed",
        )
    assert opener.refusals == {RefusalReason.VERB: 2, RefusalReason.SEAL: 1}


def test_a_grant_that_comes_again_is_believed_by_its_whole_text_and_until_its_end():
    clock = parties.Clock()
    opener, verified = parties.opener(clock), []
    issuer = opener._issuer
    opener._issuer = SimpleNamespace(
        verify=lambda *signed: (verified.append(signed), issuer.verify(*signed))
    )
    for _ in range(3):
        opener.open(sealed(), SUBJECT, REPLY, "infer")
    assert len(verified) == 1
    token = parties.token()
    altered = token[:-2] + ("A" if token[-2] != "A" else "Q") + token[-1]
    for grant in (altered, token + "A", "A" + token):
        with pytest.raises(RefusedError) as caught:
            opener.open(sealed(grant=grant), SUBJECT, REPLY, "infer")
        assert caught.value.reason == RefusalReason.GRANT
    with pytest.raises(RefusedError) as caught:  # another's key does not make it good
        opener.open(sealed(caller_key=STRANGER), SUBJECT, REPLY, "infer")
    assert caught.value.reason == RefusalReason.SIGNATURE
    clock.move(60)
    with pytest.raises(RefusedError) as caught:
        opener.open(sealed(now=clock()), SUBJECT, REPLY, "infer")
    assert caught.value.reason == RefusalReason.GRANT_EXPIRED


def test_checked_grants_are_bounded(monkeypatch):
    monkeypatch.setattr("adaptery.sealed.openers.CHECKED_LIMIT", 2)
    opener = parties.opener(parties.Clock())
    for number in range(5):
        grant = parties.token(caller=f"tn_{number}")
        opener.open(sealed(grant=grant), SUBJECT, REPLY, "infer")
    assert len(opener._checked) <= 2
