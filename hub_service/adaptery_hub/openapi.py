"""OpenAPI 3.1, made from the route table and the schemas that serve it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

import adaptery
from adaptery.schemas.common import Problem
from adaptery_hub.identity import SCOPE_PREFIX, SCOPES
from adaptery_hub.routes import Operation, Route

Json = dict[str, Any]

_REF = "#/components/schemas/{model}"
_PROBLEM_MEDIA = "application/problem+json"
_BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


def describe_routes(routes: Iterable[Route]) -> Json:
    """Return the OpenAPI document of these routes."""
    routes = list(routes)
    names = _Schemas(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Adaptery",
            "version": adaptery.__version__,
            "description": "Datasets, jobs, adapters and inference of one JupyterHub.",
        },
        "servers": [{"url": "/services/adaptery"}],
        "paths": {_path(route): _path_item(route, names) for route in routes},
        "components": {
            "schemas": names.definitions,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JupyterHub token with scopes "
                    + ", ".join(sorted(SCOPE_PREFIX + scope for scope in SCOPES))
                    + ".",
                }
            },
        },
    }


class _Schemas:
    """Every schema that a route names, each under one name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        inputs: list[tuple[type[BaseModel], Any]] = []
        outputs: list[tuple[type[BaseModel], Any]] = [(Problem, "serialization")]
        for route in routes:
            for operation in route.methods.values():
                if operation.request is not None:
                    inputs.append((operation.request, "validation"))
                if operation.response is not None:
                    outputs.append((operation.response, "serialization"))
        wanted = list(dict.fromkeys([*inputs, *outputs]))
        self._refs, document = models_json_schema(wanted, ref_template=_REF)
        self.definitions: Json = document.get("$defs", {})

    def ref(self, model: type[BaseModel], mode: Any) -> Json:
        return dict(self._refs[model, mode])


def _path(route: Route) -> str:
    return "/" + re.sub(r"\{(\w+):path\}", r"{\1}", route.template)


def _path_item(route: Route, names: _Schemas) -> Json:
    item: Json = {
        method.lower(): _operation(route, method, operation, names)
        for method, operation in route.methods.items()
    }
    if route.parameters:
        item["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in route.parameters
        ]
    return item


def _operation(route: Route, method: str, operation: Operation, names: _Schemas) -> Json:
    described: Json = {
        "operationId": _operation_id(route, method),
        "summary": operation.summary,
        "responses": _responses(route, method, operation, names),
    }
    if operation.query:
        described["parameters"] = _query(operation.query)
    if operation.request is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": names.ref(operation.request, "validation")}},
        }
    elif operation.streamed and method in _BODY_METHODS:
        described["requestBody"] = {
            "required": True,
            "content": {operation.body_media: {"schema": {"type": "string"}}},
        }
    if operation.scope == "open":
        described["security"] = []
    else:
        described["security"] = [{"token": []}]
        described["x-scope"] = operation.scope
    return described


def _responses(route: Route, method: str, operation: Operation, names: _Schemas) -> Json:
    answer: Json = {"description": "Done."}
    if operation.status != 204:
        schema: Json = {}
        if operation.response is not None and operation.media == "application/json":
            schema = {"schema": names.ref(operation.response, "serialization")}
        answer["content"] = {operation.media: schema} | {media: {} for media in operation.or_media}
    media = route.handler.error_media
    ours = media == _PROBLEM_MEDIA
    shape = {"schema": names.ref(Problem, "serialization")} if ours else {}
    done = dict.fromkeys(map(str, (operation.status, *operation.or_status)), answer)
    return done | {
        str(status): {"description": HTTPStatus(status).phrase, "content": {media: shape}}
        for status in sorted(_error_statuses(route, method, operation))
    }


def _error_statuses(route: Route, method: str, operation: Operation) -> set[int]:
    """Return the statuses of the errors that an operation can end with."""
    statuses = {503}  # 500 is a defect, never a documented answer
    if operation.scope != "open":
        statuses |= {401, 403, 429}
    if operation.query or operation.request is not None or route.parameters:
        statuses |= {404, route.handler.invalid_status}
    if method in _BODY_METHODS:
        statuses |= {408, 413, route.handler.invalid_status}
    if method in _BODY_METHODS or method == "DELETE":
        statuses |= {404, 409}
    if {"dataset", "version"} & set(route.parameters):  # which is erased, or not erased yet
        statuses.add(409)
    if operation.scope in ("infer", "read|infer"):
        statuses |= {404, 501, 502, 504}
    return statuses


def _query(query: Mapping[str, str]) -> list[Json]:
    return [
        {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
        for name, text in query.items()
    ]


def _operation_id(route: Route, method: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", route.template.replace(":path", "")) or ["page"]
    if route.template.endswith("/"):  # the same address with a slash is another operation
        words.append("slash")
    return "_".join([method.lower(), *words])
