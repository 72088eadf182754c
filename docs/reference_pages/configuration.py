"""`reference/configuration.md`: every option, from the place where it is declared."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any

from traitlets import TraitType
from traitlets.traitlets import DefaultHandler

import adaptery_hub
import adaptery_spawner
from adaptery_hub.settings import ServiceSettings
from adaptery_inference.config import (
    ConvertConfig,
    ConvertEmbedderConfig,
    EmbedderConfig,
    ServeConfig,
)
from adaptery_network.agent.config import AgentConfig
from adaptery_spawner import AdapterySpawnerMixin
from reference_pages.tables import Row, amount, code, page, plain, sentence, table

TEXT = """\
An administrator calls two functions in `jupyterhub_config.py`; everything else has a default that
works. They take keyword arguments only, so a misspelt one stops the start. No secret is an option:
secrets are made on the first start and lie in `state_dir`
([Bootstrap](../explanation/bootstrap.md))."""
SETTINGS_TEXT = """\
`adaptery_hub.configure` writes the options of the service to `<state_dir>/service.json`, in the
section `ServiceSettings`, at each start of the Hub. Options that are not among its arguments are
set with `more={"name": value}`. One that is not known stops the start, with the name that was
probably meant."""
MIXIN_TEXT = "`adaptery_spawner.configure` sets them as `c.AdapterySpawnerMixin.<option>`."
AGENT_TEXT = """\
An agent reads `agent.json` in its state folder. For the agent of the Hub's own machine
`adaptery_hub.configure` writes it at each start; elsewhere `adaptery agent join` does, and you may
edit it. Relative paths are relative to the state folder; an unknown option stops the start."""
ENGINE_TEXT = """\
An agent starts engines itself. To give an engine other options, append them to `engine_command` in
`agent.json`, written as on a command line: `"--memory-mib", "4096"`."""
CONVERT_TEXT = "See [Base models](../howto/base-models.md) for when to convert by hand."
EMBEDDER_TEXT = """\
An agent starts an embedder at its first use. To give it other options, append them to
`embedder_command` in `agent.json`; see [Embeddings](../howto/embeddings.md)."""
CONVERT_EMBEDDER_TEXT = "An agent converts its embedding models itself."
_WORDS = {"Unicode": "text", "Int": "integer", "Float": "number", "Bool": "boolean"}
#: A default that is worked out when the service starts; the help says how.
_WORKED_OUT = "(see there)"


def make() -> str:
    """Return the page."""
    return page(
        "Configuration",
        TEXT,
        *(_function(name, function) for name, function in _FUNCTIONS.items()),
        *(_options(title, text, rows()) for title, text, _, rows in _GROUPS),
    )


def undescribed() -> Iterator[str]:
    """Yield every option without a description."""
    for name, function in _FUNCTIONS.items():
        yield from _without_text(name, argument_rows(function))
    for _, _, owner, rows in _GROUPS:
        yield from _without_text(owner, rows())


def _without_text(owner: str, rows: Sequence[Row]) -> Iterator[str]:
    yield from (f"option {owner}.{row.name}" for row in rows if not row.text.strip())


def _options(title: str, text: str, rows: Sequence[Row]) -> str:
    return f"## {title}\n\n{text}\n\n{table(('Option', 'Type', 'Default', 'Meaning'), rows)}"


# -- functions --------------------------------------------------------------------------------


def _function(name: str, function: Callable[..., object]) -> str:
    summary = (inspect.getdoc(function) or "").split("\nArgs:")[0].strip()
    shown = table(("Argument", "Type", "Default", "Meaning"), argument_rows(function))
    return f"## `{name}(c, ...)`\n\n{summary}\n\n{shown}"


def argument_rows(function: Callable[..., object]) -> list[Row]:
    """Return the keyword arguments of a function with what its docstring says about each."""
    described = _docstring_arguments(inspect.getdoc(function) or "")
    return [
        Row(
            name,
            (code(str(parameter.annotation)), _argument_default(parameter)),
            sentence(described.get(name, "")),
        )
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    ]


def _argument_default(parameter: inspect.Parameter) -> str:
    if parameter.default is inspect.Parameter.empty:
        return "required"
    return amount(parameter.name, parameter.default)


def _docstring_arguments(docstring: str) -> dict[str, str]:
    """Return the entries of the `Args:` section of a Google docstring."""
    section = re.search(r"^Args:\n((?:    .*\n?|\n)*)", docstring, re.MULTILINE)
    entries: dict[str, str] = {}
    name = ""
    for line in (section.group(1) if section else "").splitlines():
        if start := re.match(r"    (\w+): (.*)", line):
            name = start.group(1)
            entries[name] = start.group(2)
        elif name:
            entries[name] += f" {line.strip()}"
    return entries


# -- traits -----------------------------------------------------------------------------------


def trait_rows(owner: type[Any]) -> list[Row]:
    """Return the configurable traits that a class itself declares, with their help."""
    worked_out = {
        each.trait_name for each in vars(owner).values() if isinstance(each, DefaultHandler)
    }
    traits: Mapping[str, TraitType[Any, Any]] = owner.class_traits(config=True)
    return [
        Row(
            name,
            (
                _WORDS.get(type(trait).__name__, "mapping"),
                _WORKED_OUT if name in worked_out else _trait_default(name, trait),
            ),
            plain(trait.help),
        )
        for name, trait in sorted(traits.items())
        if trait.this_class is owner
    ]


def _trait_default(name: str, trait: TraitType[Any, Any]) -> str:
    value = trait.default()
    return "none" if value in ("", {}) else amount(name, value)


# -- dataclasses ------------------------------------------------------------------------------


def agent_rows() -> list[Row]:
    """Return the settings of an agent with the `#:` comments above them."""
    comments = _field_comments(AgentConfig)
    annotations = inspect.get_annotations(AgentConfig)
    return [
        Row(
            field.name,
            (code(str(annotations[field.name])), _field_default(field)),
            sentence(comments[field.name]),
        )
        for field in fields(AgentConfig)
        if field.name != "state_dir"  # where the file lies, not an option in it
    ]


def _field_comments(owner: type[Any]) -> dict[str, str]:
    """Return the `#:` comment above each annotated field of a class; "" where there is none."""
    lines, _ = inspect.getsourcelines(owner)
    body = ast.parse("".join(lines)).body[0]
    assert isinstance(body, ast.ClassDef), "the source of a class holds a class"
    return {
        node.target.id: _comment_above(lines, node.lineno - 1)
        for node in body.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }


def _comment_above(lines: Sequence[str], index: int) -> str:
    found: list[str] = []
    while index > 0 and lines[index - 1].lstrip().startswith("#:"):
        index -= 1
        found.insert(0, lines[index].lstrip().removeprefix("#:").strip())
    return " ".join(found)


def engine_rows(config: type[Any]) -> list[Row]:
    """Return the options of a command of the engine."""
    annotations = inspect.get_annotations(config, eval_str=True)
    return [
        Row(
            field.name,
            (code(_type_name(annotations[field.name])), _field_default(field)),
            sentence(field.metadata["help"]),
        )
        for field in fields(config)
    ]


def _type_name(annotation: Any) -> str:
    if isinstance(annotation, type):
        return annotation.__name__
    return re.sub(r"\b\w+\.(?=\w)", "", str(annotation))


def _field_default(field: Any) -> str:
    if field.default is not MISSING:
        return amount(field.name, field.default)
    if field.default_factory is MISSING:
        return "required"
    value = field.default_factory()
    if isinstance(value, tuple):  # a command; the interpreter is whichever runs the agent
        return code(" ".join("python" if word == sys.executable else word for word in value))
    return amount(field.name, value)


_FUNCTIONS: Mapping[str, Callable[..., object]] = {
    "adaptery_hub.configure": adaptery_hub.configure,
    "adaptery_hub.configure_proxy": adaptery_hub.configure_proxy,
    "adaptery_spawner.configure": adaptery_spawner.configure,
}
#: Title, text, name of what declares the options, rows.
_GROUPS: tuple[tuple[str, str, str, Callable[[], list[Row]]], ...] = (
    (
        "Options of the service",
        SETTINGS_TEXT,
        "ServiceSettings",
        lambda: trait_rows(ServiceSettings),
    ),
    (
        "Options of the Spawner mixin",
        MIXIN_TEXT,
        "AdapterySpawnerMixin",
        lambda: trait_rows(AdapterySpawnerMixin),
    ),
    ("Options of an agent", AGENT_TEXT, "AgentConfig", agent_rows),
    ("Options of an engine", ENGINE_TEXT, "ServeConfig", lambda: engine_rows(ServeConfig)),
    ("Options of a conversion", CONVERT_TEXT, "ConvertConfig", lambda: engine_rows(ConvertConfig)),
    (
        "Options of an embedder",
        EMBEDDER_TEXT,
        "EmbedderConfig",
        lambda: engine_rows(EmbedderConfig),
    ),
    (
        "Options of the conversion of an embedding model",
        CONVERT_EMBEDDER_TEXT,
        "ConvertEmbedderConfig",
        lambda: engine_rows(ConvertEmbedderConfig),
    ),
)
