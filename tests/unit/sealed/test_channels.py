"""Requests by a channel: who may open one, what goes by it, when it ends."""

from datetime import timedelta

import pytest

from adaptery import base64url
from adaptery.errors import IntegrityError, InvalidInputError, RefusedError, TooLargeError
from adaptery.sealed import (
    ChannelKey,
    RefusalReason,
    ReplyKey,
    RequestOpener,
    SealingKey,
    request_info,
    seal,
    seal_in_channel,
    seal_request,
    seal_terms,
    sign_grant,
    signed_bytes,
)
from adaptery.sealed.documents import canonical
from support import sealed_parties as parties
from support.sealed_parties import AGENT, CALLER, OWNER, REPLY, START, STRANGER, SUBJECT

CANARY = "canary-90bd"
KEY = ChannelKey(b"\x0c" * 16, b"\x0d" * 32)


def opening(**changes: object) -> bytes:
    """The request that opens the channel, sealed and signed in full."""
    arguments: dict = {
        "card": parties.card(),
        "verb": "infer",
        "subject": SUBJECT,
        "reply": REPLY,
        "grant": parties.token(),
        "body": {"prompt": "first"},
        "caller_key": CALLER,
        "now": START,
        "channel": KEY,
    }
    return seal_request(**arguments | changes)[0]


def following(**changes: object) -> bytes:
    """A request by the channel, or one that differs in what a test names."""
    arguments: dict = {
        "card": parties.card(),
        "verb": "infer",
        "subject": SUBJECT,
        "reply": REPLY,
        "grant": parties.token(),
        "body": {"prompt": CANARY},
        "channel": KEY,
        "number": 1,
        "now": START,
    }
    return seal_in_channel(**arguments | changes)[0]


def opened(clock: parties.Clock | None = None, **changes: object) -> RequestOpener:
    opener = parties.opener(clock or parties.Clock())
    opener.open(opening(**changes), SUBJECT, REPLY, "infer", "embed")
    return opener


def refusal(opener: RequestOpener, payload: bytes, *verbs: str, **places: str) -> RefusalReason:
    where = {"subject": SUBJECT, "reply": REPLY, **places}
    with pytest.raises(RefusedError) as caught:
        opener.open(payload, where["subject"], where["reply"], *(verbs or ("infer", "embed")))
    assert opener.refusals == {caught.value.reason: 1}
    return caught.value.reason


def test_a_channel_carries_requests_once_it_is_open():
    opener = opened()
    payload, reply_key = seal_in_channel(
        card=parties.card(),
        verb="infer",
        subject=SUBJECT,
        reply=REPLY,
        grant=parties.token(),
        body={"prompt": CANARY},
        channel=KEY,
        number=1,
        now=START,
    )
    request = opener.open(payload, SUBJECT, REPLY, "infer", "embed")
    assert (request.body, request.grant) == ({"prompt": CANARY}, parties.grant())
    assert (request.reply_key, request.terms) == (reply_key, None)
    assert opener.open(following(number=2), SUBJECT, REPLY, "infer").grant == parties.grant()


def test_the_payload_shows_nothing_and_neither_does_repr():
    payload = following()
    assert CANARY.encode() not in payload
    assert parties.token().encode() not in payload
    assert repr(KEY.raw) not in repr(KEY)


def test_a_channel_that_was_never_opened_carries_nothing():
    assert refusal(parties.opener(parties.Clock()), following()) == RefusalReason.SEAL


def test_a_request_that_is_refused_opens_no_channel():
    opener = parties.opener(parties.Clock())
    for bad in (opening(caller_key=STRANGER), opening(now=START + timedelta(seconds=61))):
        with pytest.raises(RefusedError):
            opener.open(bad, SUBJECT, REPLY, "infer")
    with pytest.raises(RefusedError) as caught:
        opener.open(following(), SUBJECT, REPLY, "infer")
    assert caught.value.reason == RefusalReason.SEAL


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (following(subject=SUBJECT + "x"), RefusalReason.SEAL),
        (following(reply=REPLY[:-1] + "B"), RefusalReason.SEAL),
        (following(verb="embed"), RefusalReason.SEAL),
        (following(channel=ChannelKey(KEY.id, bytes(32))), RefusalReason.SEAL),
        (following(channel=ChannelKey(bytes(16), KEY.raw)), RefusalReason.SEAL),
        (following()[:-1], RefusalReason.SEAL),
        (following()[:-1] + bytes([following()[-1] ^ 1]), RefusalReason.SEAL),
        (following()[:40], RefusalReason.MALFORMED),
        (b"\x81", RefusalReason.MALFORMED),
        (following(grant="nonsense"), RefusalReason.GRANT),
        (following(grant=""), RefusalReason.NO_GRANT),
        (following(grant=sign_grant(parties.grant(), STRANGER)), RefusalReason.GRANT),
        (following(grant=parties.token(verb="embed")), RefusalReason.VERB),
        (
            following(grant=parties.token(caller_key=STRANGER.public_text)),
            RefusalReason.SIGNATURE,
        ),
        (following(grant=parties.token(agent="ag_another")), RefusalReason.GRANT),
        (following(now=START + timedelta(seconds=61)), RefusalReason.STALE),
        (following(now=START - timedelta(seconds=1)), RefusalReason.BEFORE_START),
    ],
)
def test_everything_else_is_refused(payload: bytes, reason: RefusalReason):
    assert refusal(opened(), payload) == reason


def test_a_channel_serves_its_verb_only():
    assert refusal(opened(), following(), "embed") == RefusalReason.VERB


def test_a_request_by_a_channel_is_let_in_once():
    opener, payload = opened(), following()
    opener.open(payload, SUBJECT, REPLY, "infer")
    assert refusal(opener, payload) == RefusalReason.REPLAY


def test_a_channel_ends_with_the_grant_of_the_request_that_opened_it():
    clock = parties.Clock()
    opener = opened(clock)
    later = parties.token(not_after=START + timedelta(hours=1))
    clock.move(59)
    opener.open(following(grant=later, now=clock()), SUBJECT, REPLY, "infer")
    clock.move(1)
    assert refusal(opener, following(grant=later, now=clock())) == RefusalReason.SEAL


def test_who_has_a_grant_with_terms_opens_no_channel_and_uses_none():
    terms = seal_terms(ReplyKey.generate(), {}, parties.card())
    token = parties.token(terms=terms, agent=AGENT, nonce=REPLY.rpartition(".")[2])
    assert refusal(parties.opener(parties.Clock()), opening(grant=token)) == (
        RefusalReason.MALFORMED
    )
    assert refusal(opened(), following(grant=token)) == RefusalReason.GRANT


@pytest.mark.parametrize("value", ["AA", "", None, 5])
def test_a_channel_has_48_bytes(value: object):
    contents = {
        "grant": parties.token(),
        "reply_key": base64url.encode(bytes(32)),
        "body": {},
        "sent_at": "2026-05-04T12:00:00.000Z",
        "nonce": base64url.encode(bytes(16)),
        "channel": value,
    }
    info = request_info("infer", OWNER, AGENT)
    body = seal(canonical(contents), parties.SEALING.public_text, info)
    payload = b"\x01" + body + CALLER.sign(signed_bytes(SUBJECT, REPLY, body))
    assert refusal(parties.opener(parties.Clock()), payload) == RefusalReason.MALFORMED


def test_many_channels_push_out_the_oldest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("adaptery.sealed.channels.CHANNELS_LIMIT", 2)
    opener = opened()
    for number in range(2):
        opener.open(
            opening(channel=ChannelKey(bytes([number]) * 16, b"k" * 32)), SUBJECT, REPLY, "infer"
        )
    assert refusal(opener, following()) == RefusalReason.SEAL


def test_another_agent_opens_nothing_of_it():
    other = SealingKey.generate()
    with pytest.raises(RefusedError):
        parties.opener(parties.Clock()).open(
            opening(card=parties.card(sealing_key=other.public_text)), SUBJECT, REPLY, "infer"
        )
    assert refusal(opened(), following(card=parties.card(agent="ag_x"))) == RefusalReason.SEAL


def test_what_cannot_be_sent_is_named_without_being_quoted():
    with pytest.raises(InvalidInputError):
        following(body={"prompt": float("nan")})
    with pytest.raises(TooLargeError, match="limit"):
        following(body={"prompt": "x" * 2**20})
    with pytest.raises(IntegrityError, match="ended"):
        following(now=START + timedelta(days=1))
