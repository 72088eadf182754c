import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery import base64url
from adaptery.errors import IntegrityError, RefusedError
from adaptery.sealed import open_card, open_grant, open_heartbeat, sign_card, sign_heartbeat
from adaptery.sealed.documents import read_object
from support import sealed_parties as parties
from support.sealed_parties import IDENTITY, SERVICE, START, STRANGER

ISSUER = SERVICE.verify_key


def test_a_card_survives_storage_as_json():
    signed = json.loads(json.dumps(sign_card(parties.card(), SERVICE)))
    assert open_card(signed, ISSUER, START) == parties.card()


def test_a_card_of_a_stranger_an_ended_card_and_a_changed_card_do_not_open():
    with pytest.raises(IntegrityError):
        open_card(sign_card(parties.card(), STRANGER), ISSUER, START)
    with pytest.raises(IntegrityError, match="ended"):
        open_card(sign_card(parties.card(), SERVICE), ISSUER, START + timedelta(days=1))
    signed = json.loads(json.dumps(sign_card(parties.card(), SERVICE)))
    signed["card"]["labels"] = ["phi", "site:south"]
    with pytest.raises(IntegrityError):
        open_card(signed, ISSUER, START)


@pytest.mark.parametrize("signed", [{}, {"card": {}}, {"card": [], "signature": {"value": "x"}}])
def test_what_is_no_signed_card_does_not_open(signed: dict):
    with pytest.raises(IntegrityError):
        open_card(signed, ISSUER, START)


def test_a_signature_over_a_grant_is_none_over_a_card():
    raw, _, signature = parties.token().partition(".")
    forged = {"card": json.loads(base64url.decode(raw)), "signature": {"value": signature}}
    with pytest.raises(IntegrityError):
        open_card(forged, ISSUER, START)


@given(position=st.integers(min_value=0), character=st.sampled_from("Aa0_-.="))
def test_no_changed_grant_opens(position: int, character: str):
    token = parties.token()
    position %= len(token)
    changed = token[:position] + character + token[position + 1 :]
    if changed == token:
        return
    with pytest.raises(RefusedError):
        open_grant(changed, ISSUER, START)


def test_grants_have_their_own_nonce():
    fields = parties.grant().model_dump(exclude={"nonce"})
    assert type(parties.grant())(**fields).nonce != type(parties.grant())(**fields).nonce


def heartbeat(**changes: object) -> dict[str, object]:
    return {"agent": parties.AGENT, "seq": 1, "at": "2026-05-04T12:00:00.000Z"} | changes


def test_a_heartbeat_opens_under_the_agents_key_while_fresh():
    payload = sign_heartbeat(heartbeat(), IDENTITY)
    assert open_heartbeat(payload, IDENTITY.verify_key, START) == heartbeat()


@pytest.mark.parametrize("seconds", [-61, 61])
def test_an_old_heartbeat_does_not_open(seconds: int):
    payload = sign_heartbeat(heartbeat(), IDENTITY)
    with pytest.raises(IntegrityError, match="fresh"):
        open_heartbeat(payload, IDENTITY.verify_key, START + timedelta(seconds=seconds))


def test_a_heartbeat_of_another_agent_or_without_signature_does_not_open():
    with pytest.raises(IntegrityError):
        open_heartbeat(sign_heartbeat(heartbeat(), STRANGER), IDENTITY.verify_key, START)
    with pytest.raises(IntegrityError):
        open_heartbeat(json.dumps(heartbeat()).encode(), IDENTITY.verify_key, START)
    with pytest.raises(IntegrityError, match="large"):
        open_heartbeat(b" " * 70_000, IDENTITY.verify_key, START)
    with pytest.raises(IntegrityError):
        open_heartbeat(sign_heartbeat(heartbeat(at="soon"), IDENTITY), IDENTITY.verify_key, START)


@pytest.mark.parametrize("raw", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff", b"[" * 100_000])
def test_only_one_json_object_is_read_and_never_quoted(raw: bytes):
    with pytest.raises(IntegrityError) as caught:
        read_object(raw)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
