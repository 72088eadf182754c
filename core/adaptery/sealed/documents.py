"""The JSON of sealed and signed messages.

For: writing and reading the JSON objects inside envelopes, cards, grants and frames. Not for
digests of records, whose canonical form also normalises Unicode (`adaptery.canonical`): a prompt
must arrive as it was typed, so strings here pass through unchanged.

What always holds:
- Canonical JSON is RFC 8785; a value that JSON cannot carry exactly is refused, never changed.
- Reading refuses anything that is not exactly one JSON object without repeated keys.
- No error quotes what it read: it may be a prompt.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Annotated, TypeAlias, cast

import rfc8785
from pydantic import AfterValidator, AwareDatetime

from adaptery import base64url, times
from adaptery.canonical import SAFE_INTEGER
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.json_values import has_many_values

__all__ = ["JsonObject", "WireTime", "canonical", "compact", "read_bytes", "read_object"]

#: From here on, Python writes a number that is not whole as RFC 8785 has it.
_LEAST = 1e-4

JsonObject: TypeAlias = dict[str, object]
#: A time as it survives the wire: UTC, whole milliseconds.
WireTime: TypeAlias = Annotated[
    AwareDatetime, AfterValidator(lambda moment: times.from_text(times.to_text(moment)))
]


def canonical(document: Mapping[str, object]) -> bytes:
    """Return a JSON object in its canonical form (RFC 8785), strings untouched.

    Raises:
        InvalidInputError: if it holds a number or text that JSON cannot carry exactly.
    """
    try:
        with contextlib.suppress(_NotPlainError):
            return _WRITER.encode(_plain(dict(document))).encode()
        # The cast only names one of the types that rfc8785 accepts; it checks each value itself.
        return rfc8785.dumps(cast("dict[str, str]", dict(document)))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        raise InvalidInputError(
            "The message holds an integer beyond 2^53-1, a NaN, or text that is not Unicode.",
            hint="Send such numbers as text.",
        ) from None


class _NotPlainError(Exception):
    """A value that the standard library may write in another form than RFC 8785."""


#: Makes of plain values what rfc8785 makes of them, in a fifth of the time.
_WRITER = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False
)


def _plain(value: object) -> object:
    """Return an equal value that Python and RFC 8785 write alike.

    Keys of ASCII sort alike; numbers look alike from 0.0001 to 2^53, whole ones without a point.
    Source: RFC 8785, sections 3.2.2.3 and 3.2.3; ECMA-262, Number::toString.

    Raises:
        _NotPlainError: there is none, or it is not known to be.
    """
    kind = type(value)
    if value is None or kind is str or kind is bool:
        return value
    if kind is dict:
        items = cast("dict[object, object]", value).items()
        return {_plain_key(key): _plain(item) for key, item in items}
    if kind is list or kind is tuple:
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, int | float) and kind in (int, float):
        return _plain_number(value)
    raise _NotPlainError


def _plain_key(key: object) -> str:
    if type(key) is str and key.isascii():
        return key
    raise _NotPlainError


def _plain_number(value: float) -> float:
    if not abs(value) <= SAFE_INTEGER:  # or no number
        raise _NotPlainError
    if value == int(value):
        return int(value)
    if abs(value) >= _LEAST:
        return value
    raise _NotPlainError


def compact(document: Mapping[str, object]) -> bytes:
    """Return a JSON object without spaces: for frames, whose exact form nobody signs.

    Raises:
        InvalidInputError: if it holds a value that JSON cannot carry.
    """
    try:
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        return text.encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidInputError("The message holds a value that JSON cannot carry.") from None


def _without_repeats(pairs: list[tuple[str, object]]) -> JsonObject:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("repeated key")
    return document


#: Made once: a frame is read for each token.
_READER = json.JSONDecoder(object_pairs_hook=_without_repeats)


def read_object(raw: bytes) -> JsonObject:
    """Return the one JSON object that the bytes hold.

    Raises:
        IntegrityError: if they are not JSON, not an object, hold more values than any message of
            ours, or a key appears twice.
    """
    if has_many_values(raw):
        raise IntegrityError("A sealed message holds too many values.")
    try:
        document: object = _READER.decode(raw.decode())
    except (ValueError, RecursionError):
        raise IntegrityError("A sealed message is not JSON.") from None
    if not isinstance(document, dict):
        raise IntegrityError("A sealed message is not a JSON object.")
    return cast(JsonObject, document)


def read_bytes(value: object, length_bytes: int) -> bytes:
    """Return the bytes that a base64url field holds.

    Raises:
        IntegrityError: if it is not the one base64url spelling of exactly that many bytes.
    """
    try:
        raw = base64url.decode(value) if isinstance(value, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != length_bytes:
        raise IntegrityError(f"A sealed field is not base64url of {length_bytes} bytes.")
    return raw
