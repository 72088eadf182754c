"""Canonical JSON: one byte string for one value. Digests and signatures are made over it.

Strings and keys are brought to Unicode NFC, then written by RFC 8785 (JCS). Values that have no
portable JSON form are refused with the path of the field, never changed in silence.

What always holds: `canonical_json(a) == canonical_json(b)` exactly when a and b are the same JSON
value after NFC (numbers by value: 1 and 1.0 are the same).

Source: RFC 8785, sections 3.2.2 (numbers, strings), 3.2.3 (sorting); RFC 7493 (I-JSON): limits.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from typing import Any, cast

import rfc8785

__all__ = ["DEPTH_LIMIT", "SAFE_INTEGER", "CanonicalError", "canonical_json", "normalise"]

#: The largest integer that every JSON reader keeps exact. Source: RFC 7493, section 2.2.
SAFE_INTEGER = 2**53 - 1
#: Levels of nesting; more is no honest record and would exhaust the stack.
DEPTH_LIMIT = 64

_TOO_LARGE = "is an integer beyond 2^53-1; write it as text"


class CanonicalError(ValueError):
    """The value has no canonical form: `path` names the field, `reason` why; never its content."""

    def __init__(self, path: str, reason: str) -> None:
        self.path = path
        self.reason = reason
        super().__init__(f"{path or 'the value'}: {reason}")


def _text(value: str, path: str) -> str:
    if value.isascii():
        return value
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise CanonicalError(
            path, "holds half of a surrogate pair, which is no character"
        ) from None
    return unicodedata.normalize("NFC", value)


def _object(value: Mapping[object, object], path: str, depth: int) -> dict[str, object]:
    result: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise CanonicalError(path, "has a key that is not text")
        name = _text(key, path)
        if name in result:
            raise CanonicalError(path, "has two keys that are the same after Unicode NFC")
        result[name] = _value(item, f"{path}.{_shown(name)}" if path else _shown(name), depth)
    return result


def _shown(key: str) -> str:
    # A key can be content too (a map of names): show it only where it looks like a field name.
    plain = key.replace("_", "").replace("-", "")
    return key if len(key) <= 40 and plain.isascii() and plain.isalnum() else "(a key)"


def _value(value: object, path: str, depth: int) -> object:
    if depth > DEPTH_LIMIT:
        raise CanonicalError(path, f"is nested deeper than {DEPTH_LIMIT} levels")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value, path)
    if isinstance(value, int):
        if abs(value) > SAFE_INTEGER:
            raise CanonicalError(path, _TOO_LARGE)
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise CanonicalError(path, "is NaN or infinite, which JSON does not have")
        # Written without a point or exponent below 1e21, so it would be read back as an integer.
        if SAFE_INTEGER < abs(value) < 1e21:
            raise CanonicalError(path, _TOO_LARGE)
        return value
    if isinstance(value, Mapping):
        return _object(cast("Mapping[object, object]", value), path, depth + 1)
    if isinstance(value, list | tuple):
        items = cast("list[object] | tuple[object, ...]", value)
        return [_value(item, f"{path}[{i}]", depth + 1) for i, item in enumerate(items)]
    raise CanonicalError(path, f"is a {type(value).__name__}, which JSON does not have")


class _Intricate(Exception):
    """A value is not of the kinds that `_plain` knows."""


def _plain(value: object, depth: int) -> object:
    """Do what `_value` does, in a fraction of the time, for what most records are made of.

    Raises:
        _Intricate: it may be anything else; `_value` says what.
    """
    kind = type(value)
    if kind is str:
        return value if cast("str", value).isascii() else _text(cast("str", value), "")
    if value is None or kind is bool:
        return value
    if depth > DEPTH_LIMIT:
        raise _Intricate
    if kind is list:
        return [_plain(item, depth + 1) for item in cast("list[object]", value)]
    if kind is not dict:
        raise _Intricate
    result: dict[str, object] = {}
    for key, item in cast("dict[object, object]", value).items():
        if type(key) is not str or not key.isascii():
            raise _Intricate
        result[key] = _plain(item, depth + 1)
    return result


def normalise(value: object) -> object:
    """Return the value with all its text in NFC, as plain JSON types.

    Raises:
        CanonicalError: if a part of it has no canonical form.
    """
    try:
        return _plain(value, 0)
    except (_Intricate, CanonicalError):  # with the path of what is wrong, if anything is
        return _value(value, "", 0)


def canonical_json(value: object) -> bytes:
    """Return the one canonical byte string of a JSON value.

    Raises:
        CanonicalError: for NaN, an integer beyond 2^53-1, half a surrogate pair, keys that collide
            in NFC, or something that is not JSON. It names the path of the field.
    """
    return rfc8785.dumps(cast("Any", normalise(value)))  # its own type is private
