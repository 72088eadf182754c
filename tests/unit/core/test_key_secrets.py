"""Secrets of own keys: their form, their checksum, what is stored and shown of them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from adaptery.key_secrets import PATTERN, hash_secret, is_well_formed, make_secret, shown_start

randomness = st.binary(min_size=32, max_size=32)
ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def secret_of(random_bytes: bytes) -> str:
    return make_secret(lambda count: random_bytes[:count])


def test_the_form_stays_as_scanners_know_it() -> None:
    zero = secret_of(bytes(32))
    assert zero == "ak-" + "0" * 43 + "2CZclj"
    assert hash_secret(zero).startswith("sha256:")


@given(randomness)
def test_every_secret_is_well_formed_and_found_by_the_pattern(random_bytes: bytes) -> None:
    secret = secret_of(random_bytes)
    assert is_well_formed(secret) and len(secret) == 52
    assert re.findall(PATTERN, f'key = "{secret}", and so on') == [secret]


@given(randomness, randomness)
def test_different_bytes_are_different_secrets(one: bytes, other: bytes) -> None:
    assert (secret_of(one) == secret_of(other)) == (one == other)


@given(randomness, st.integers(3, 51), st.sampled_from(ALPHABET))
def test_one_mistyped_character_is_noticed(random_bytes: bytes, at: int, character: str) -> None:
    secret = secret_of(random_bytes)
    typo = secret[:at] + character + secret[at + 1 :]
    assert is_well_formed(typo) == (typo == secret)


@given(randomness, st.integers(0, 51))
def test_a_cut_secret_is_noticed(random_bytes: bytes, length: int) -> None:
    assert not is_well_formed(secret_of(random_bytes)[:length])


@given(st.text(max_size=60))
def test_any_text_is_judged(text: str) -> None:
    assert not is_well_formed(text)
    assert not is_well_formed(f"ak-{text}")


def test_made_secrets_never_repeat_and_show_four_characters() -> None:
    made = {make_secret() for _ in range(1000)}
    assert len(made) == 1000
    assert all(shown_start(secret) == f"{secret[:7]}…" for secret in made)
    assert len({hash_secret(secret) for secret in made}) == 1000


def test_look_alikes_and_glue_are_not_secrets() -> None:
    secret = secret_of(bytes(range(32)))
    for other in (
        secret.upper(),
        secret.replace("ak-", "ak_"),
        f" {secret}",
        f"{secret}\n",
        secret.replace("a", "а", 1),  # noqa: RUF001 - Cyrillic
        secret + secret,
    ):
        assert not is_well_formed(other), other
