"""Makes a command line from the fields of a frozen dataclass.

``field(metadata=described("what it is for"))`` is an option; ``add_options`` adds one ``--flag``
per field, ``build`` makes the dataclass. An unknown option is an error, a field without a default
is required.
"""

import argparse
import types
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar, Union, get_args, get_origin, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

C = TypeVar("C", bound="DataclassInstance")


def described(help_text: str) -> dict[str, str]:
    """The metadata of a dataclass field that is also a command-line option."""
    return {"help": help_text}


def add_options(parser: argparse.ArgumentParser, config: "type[DataclassInstance]") -> None:
    """Add one option per field of ``config``."""
    hints = get_type_hints(config)
    for each in fields(config):
        required = each.default is MISSING
        text = each.metadata["help"]
        if not required and each.default is not None:
            text += f" (default: {each.default})"
        parser.add_argument(
            "--" + each.name.replace("_", "-"),
            type=_plain_type(hints[each.name]),
            required=required,
            default=None if required else each.default,
            help=text,
        )


def build(config: type[C], parsed: argparse.Namespace) -> C:
    """Make ``config`` from parsed arguments.

    Raises:
        InvalidInputError: the dataclass refuses a value.
    """
    return config(**{each.name: getattr(parsed, each.name) for each in fields(config)})


def _plain_type(hint: Any) -> Any:
    """``int`` of ``int | None``."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(part for part in get_args(hint) if part is not type(None))
    return hint
