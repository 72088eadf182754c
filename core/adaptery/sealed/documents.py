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

import json
from collections.abc import Mapping
from typing import Annotated, TypeAlias, cast

import rfc8785
from pydantic import AfterValidator, AwareDatetime

from adaptery import base64url, times
from adaptery.errors import IntegrityError, InvalidInputError
from adaptery.json_values import has_many_values

__all__ = ["JsonObject", "WireTime", "canonical", "compact", "read_bytes", "read_object"]

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
        # The cast only names one of the types that rfc8785 accepts; it checks each value itself.
        return rfc8785.dumps(cast("dict[str, str]", dict(document)))
    except (rfc8785.CanonicalizationError, UnicodeEncodeError, RecursionError):
        raise InvalidInputError(
            "The message holds an integer beyond 2^53-1, a NaN, or text that is not Unicode.",
            hint="Send such numbers as text.",
        ) from None


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
