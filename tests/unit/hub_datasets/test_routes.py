"""The route table: patterns, parameters and what each operation says."""

import re

from adaptery_hub.handlers.base import Handler
from adaptery_hub.routes import Operation, Route, all_routes


def test_a_segment_and_the_rest() -> None:
    one = Route("api/x/{name}/y", Handler, {})
    rest = Route("v1/models/{name:path}", Handler, {})
    assert re.match(one.pattern, "api/x/a%2Fb/y")["name"] == "a%2Fb"  # type: ignore[index]
    assert re.match(one.pattern, "api/x/a/b/y") is None
    assert re.match(one.pattern, "api/x/a/y/z") is None
    assert re.match(rest.pattern, "v1/models/@demo/x@1")["name"] == "@demo/x@1"  # type: ignore[index]
    assert (one.parameters, rest.parameters) == (("name",), ("name",))


def test_every_operation_is_served_and_described() -> None:
    for route in all_routes():
        for method, operation in route.methods.items():
            assert isinstance(operation, Operation)
            assert method.lower() in vars(route.handler) or any(
                method.lower() in vars(cls) for cls in route.handler.__mro__[:-4]
            ), (route.template, method)
            assert operation.summary.endswith("."), route.template


def test_whoever_deletes_is_asked_for_afresh() -> None:
    for route in all_routes():
        delete = route.methods.get("DELETE")
        assert delete is None or delete.fresh_identity, route.template
