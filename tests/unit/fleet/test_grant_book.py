"""Grants that are used again."""

from dataclasses import replace
from datetime import timedelta

from adaptery.sealed import open_grant
from adaptery.signing import SigningKey
from adaptery_hub.fleet.grant_book import GRANT_SECONDS, USE_SECONDS, GrantBook, Wanted
from support.sealed_parties import Clock, card

SIGNER = SigningKey.from_seed(b"\x01" * 32)
WANTED = Wanted("infer", "ad_1", "tn_1", "sha256:1", (("max_tokens", 5),))


def book():
    clock = Clock()
    return clock, GrantBook(SIGNER, clock)


def test_a_grant_says_what_is_wanted_and_binds_the_key_that_comes_with_it():
    clock, grants = book()
    granted = grants.grant(WANTED)
    grant = open_grant(granted.token, SIGNER.verify_key, clock())
    assert (grant.verb, grant.thing, grant.caller) == ("infer", "ad_1", "tn_1")
    assert (grant.weight_digest, grant.limits) == ("sha256:1", {"max_tokens": 5})
    assert grant.caller_key == granted.caller_key.public_text
    assert grant.not_after - clock() == timedelta(seconds=GRANT_SECONDS)
    assert (grant.agent, grant.terms) == (None, None)


def test_the_same_is_granted_once_in_half_a_minute_and_anything_else_by_itself():
    clock, grants = book()
    first = grants.grant(WANTED)
    clock.move(USE_SECONDS - 1)
    assert grants.grant(WANTED) is first
    others = [
        replace(WANTED, verb="embed"),
        replace(WANTED, thing="ad_2"),
        replace(WANTED, caller="tn_2"),
        replace(WANTED, weight_digest="sha256:2"),
        replace(WANTED, limits=(("max_tokens", 6),)),
        replace(WANTED, limits=()),
    ]
    assert len({grants.grant(other).token for other in [WANTED, *others]}) == 7
    clock.move(1)
    later = grants.grant(WANTED)
    assert later.token != first.token
    assert later.caller_key.public_text != first.caller_key.public_text


def test_many_grants_are_forgotten_with_their_key(monkeypatch):
    monkeypatch.setattr("adaptery_hub.fleet.grant_book.GRANTS_LIMIT", 3)
    _, grants = book()
    first = grants.grant(WANTED)
    for number in range(3):
        grants.grant(replace(WANTED, caller=f"tn_{number}"))
    assert grants.grant(WANTED).caller_key.public_text != first.caller_key.public_text


def test_a_key_is_not_shown():
    _, grants = book()
    seed = grants.grant(WANTED).caller_key.seed()
    assert repr(seed)[2:-1] not in repr(grants.grant(WANTED))


def test_a_channel_is_used_as_long_as_the_key_of_its_grants_by_who_understands_it():
    clock, grants = book()
    granted = grants.grant(WANTED)
    channel = grants.channel(granted, card(), "infer", lasting=True)
    assert channel.caller_key is granted.caller_key
    same = grants.grant(replace(WANTED, caller="tn_2"))
    assert grants.channel(same, card(), "infer", lasting=True) is channel
    assert grants.channel(granted, card(), "embed", lasting=True) is not channel
    assert grants.channel(granted, card(), "infer", lasting=False) is not channel
    other = card(sealing_key="x25519:another")
    assert grants.channel(granted, other, "infer", lasting=True) is not channel
    # Whoever joins with another agent's sealing key gets no say in what that agent is asked.
    thief = card(agent="ag_01j00000000000000000000009")
    assert grants.channel(granted, thief, "infer", lasting=True) is not channel
    clock.move(USE_SECONDS)
    later = grants.channel(grants.grant(WANTED), card(), "infer", lasting=True)
    assert later.caller_key.public_text != granted.caller_key.public_text
