"""`reference/routes.md`: every route of the service, from the table that serves it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from adaptery_hub.routes import PAGE_QUERY, Operation, Route, all_routes
from reference_pages.tables import Row, code, page, plain, table

#: Where a route stands: the first pattern that matches decides.
SECTIONS: tuple[tuple[str, str], ...] = (
    (r"api/(datasets|versions|operations)", "Datasets, versions and operations"),
    (r"api/(jobs|tasks|base-models)", "Jobs, tasks and base models"),
    (r"api/adapters", "Adapters"),
    (r"api/(agents|network)", "Agents"),
    (r"api/keys", "Own keys"),
    (r"api/", "About the caller and the API"),
    (r"(v1|a)/", "OpenAI-compatible"),
    (r"", "Page, health and metrics"),
)
TEXT = """\
All paths are below the service's address, `https://<hub>/services/adaptery/`. A token goes into the
header `Authorization: Bearer <token>`. Which token has which scope is in
[Security](../explanation/security.md); the right on a thing is asked after the scope. The same
table, as OpenAPI 3.1, is served at `api/openapi.json`.

- *Scope* `open` needs no token, `any` a valid one, `session` a user's login. `a|b` means either;
  `scrape` is the token that an administrator gave to Prometheus, `worker` a secret of
  [workers of ClearML](../howto/clearml-jobs.md).
- *or an own key*: a [key](../howto/keys.md) with that verb; no other route lets keys in.
- Errors are problem JSON with a `code` ([Errors](errors.md)); below `v1/` and `a/` in OpenAI's
  shape, and what is not valid is 400 there instead of 422.
- *Page of T* is `{"items": [T, ...], "has_more": bool}`. The next page starts `?after=` the id of
  the last item; `limit` is 1 to 200, and 50 if absent. *RecordPage* also has `total`, and can start
  anywhere by `offset`.
- An unknown field of a body or an unknown query parameter is an error, except in requests below
  `v1/` and `a/`: real clients send fields that we do not have. Those are ignored and never passed
  on."""


def make() -> str:
    """Return the page."""
    groups: dict[str, list[Route]] = {title: [] for _, title in SECTIONS}
    for route in all_routes():
        groups[_section_of(route.template)].append(route)
    parts = [f"## {title}\n\n{_tables(routes)}" for title, routes in groups.items() if routes]
    return page("Routes", TEXT, *parts, _schemas())


def undescribed() -> Iterator[str]:
    """Yield every route, query parameter and schema without a description."""
    for route in all_routes():
        for method, operation in route.methods.items():
            if not operation.summary.strip():
                yield f"route {method} {route.template}"
            for name, text in operation.query.items():
                if not text.strip():
                    yield f"query parameter {name} of {method} {route.template}"
    yield from (f"schema {name}" for name, model in bodies().items() if not model.__doc__)


def _section_of(template: str) -> str:
    return next(title for pattern, title in SECTIONS if re.match(pattern, template))


def _tables(routes: Sequence[Route]) -> str:
    rows, parameters = [], []
    for route in routes:
        path = route.template.replace(":path}", "}") or "(the page)"
        for method, operation in route.methods.items():
            scope = code(operation.scope) + _keys(operation)
            cells = (scope, _body(operation), _answer(operation))
            rows.append(Row(f"{method} {path}", cells, operation.summary))
            parameters += [
                Row(name, (code(f"{method} {path}"),), text)
                for name, text in operation.query.items()
                if name not in PAGE_QUERY
            ]
    shown = table(("Method and path", "Scope", "Body", "Answer", "What it does"), rows)
    if parameters:
        shown += "\n\n" + table(("Query parameter", "Of", "Meaning"), parameters)
    return shown


def _keys(operation: Operation) -> str:
    if not operation.keys:
        return ""
    verb = f" with {code(operation.key_verb)}" if operation.key_verb else ""
    return f" or an own key{verb}"


def _body(operation: Operation) -> str:
    if operation.request is not None:
        return _link(operation.request)
    return "bytes" if operation.streamed else ""


def _answer(operation: Operation) -> str:
    if operation.status == 204:
        return "204, nothing"
    shape = _link(operation.response) if operation.response is not None else ""
    if operation.media != "application/json":
        shape = f"{shape} as `{operation.media}`" if shape else f"`{operation.media}`"
    return f"{operation.status} {shape or 'JSON'}"


def _link(model: type[BaseModel]) -> str:
    inner = _page_item(model)
    name = (inner or model).__name__
    return f"{'Page of ' if inner else ''}[{name}](#{name.lower()})"


def _page_item(model: type[BaseModel]) -> type[BaseModel] | None:
    arguments = model.__pydantic_generic_metadata__["args"]
    return arguments[0] if arguments else None


def bodies() -> dict[str, type[BaseModel]]:
    """Return every schema that a route takes or answers, by name, without the pages around them."""
    found: dict[str, type[BaseModel]] = {}
    for route in all_routes():
        for operation in route.methods.values():
            for model in (operation.request, operation.response):
                if model is not None:
                    inner = _page_item(model) or model
                    found[inner.__name__] = inner
    return dict(sorted(found.items()))


def _schemas() -> str:
    wanted: list[tuple[type[BaseModel], Any]] = [(m, "validation") for m in bodies().values()]
    _, document = models_json_schema(wanted, ref_template="{model}")
    definitions: dict[str, Any] = document.get("$defs", {})
    parts = [_schema(name, definitions[name]) for name in sorted(definitions)]
    return "\n\n".join(["## Bodies and answers", *parts])


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    text = plain(schema.get("description", "").split("\n")[0])
    if "enum" in schema:
        text += " One of " + ", ".join(code(str(value)) for value in schema["enum"]) + "."
    required = set(schema.get("required", ()))
    rows = [
        Row(field, (_type(value), _presence(field in required, value)), _meaning(value))
        for field, value in schema.get("properties", {}).items()
    ]
    shown = table(("Field", "Type", "If absent", "Meaning"), rows) if rows else ""
    return "\n\n".join(part for part in (f"### {name}", text, shown) if part)


def _meaning(value: Mapping[str, Any]) -> str:
    return plain(value.get("description", ""))


def _presence(required: bool, value: Mapping[str, Any]) -> str:
    # In an answer every field is there; in a body "" says that the field is required.
    return "" if required or "default" not in value else code(json.dumps(value["default"]))


def _type(value: Mapping[str, Any]) -> str:
    if "$ref" in value:
        return f"[{value['$ref']}](#{value['$ref'].lower()})"
    if "anyOf" in value:
        return " or ".join(_type(option) for option in value["anyOf"])
    if "enum" in value:
        return ", ".join(code(str(option)) for option in value["enum"])
    if "const" in value:
        return code(str(value["const"]))
    kind = str(value.get("type", "any"))
    if kind == "array":
        return f"list of {_type(value.get('items', {}))}"
    return str(value.get("format", kind)) + _bounds(value)


def _bounds(value: Mapping[str, Any]) -> str:
    least, most = value.get("minimum"), value.get("maximum")
    if least is not None and most is not None:
        return f", {least} to {most}"
    if "maxLength" in value:
        return f", at most {value['maxLength']} characters"
    return "" if least is None else f", at least {least}"
