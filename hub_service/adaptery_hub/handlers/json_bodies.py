"""JSON bodies that every parser reads alike.

What two parsers could read differently (a key given twice, above all) is refused before anything
reads it: what was checked must be what is used. So is what would keep everyone else waiting while
it is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from adaptery.errors import InvalidInputError
from adaptery.json_values import VALUES_LIMIT, has_many_values


def check_json(raw: bytes) -> None:
    """Refuse what JSON parsers disagree about: duplicate keys, NaN, bytes that are not UTF-8.

    Raises:
        InvalidInputError: the text is not one plain JSON value, or holds too many.
    """
    if has_many_values(raw):
        raise InvalidInputError(
            f"The body holds more than {VALUES_LIMIT} JSON values.",
            hint="Send fewer at a time; token ids are not offered, send the text.",
        )
    try:
        json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidInputError("The body is not UTF-8.", hint="Send JSON in UTF-8.") from None
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"The body is not JSON (line {error.lineno}, column {error.colno}).",
            hint="Send one JSON object.",
        ) from None
    except RecursionError:
        raise InvalidInputError("The body is nested too deeply.") from None
    except ValueError:
        raise InvalidInputError(
            "The body is not plain JSON: a key is given twice, or a number is NaN, infinite or too "
            "long.",
            hint="Give each key once, with finite numbers.",
        ) from None


def _unique(pairs: Iterable[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError("duplicate key")
        found[key] = value
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)
