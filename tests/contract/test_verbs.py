"""The table of verbs names routes that exist, and every host reads it alike.

`verb_examples.json` is read by the tests of the views too (test/host/verbs.test.ts).
"""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from adaptery.client.verbs import request_of, verb_table
from adaptery.errors import AdapteryError
from adaptery_hub.handlers.sse import SSE_MEDIA
from adaptery_hub.routes import Operation, all_routes

EXAMPLES = json.loads(Path(__file__).with_name("verb_examples.json").read_text(encoding="utf-8"))
#: It answers in either way; the body asks for the stream.
CHAT = "v1/chat/completions"
#: Forms of an entry beside plain methods.
FORMS = ("STREAM", "UPLOAD", "DOWNLOAD")
#: What `{kind}` stands for in a verb.
KINDS = ("datasets", "jobs", "adapters")


def served() -> dict[tuple[str, str], Operation]:
    """Return each operation by its method and path; what parameters are called is left out."""
    return {
        (method, re.sub(r"\{[^}]+\}", "{}", route.template)): operation
        for route in all_routes()
        for method, operation in route.methods.items()
    }


@pytest.mark.parametrize(("verb", "entry"), verb_table().items(), ids=lambda word: word)
def test_a_verb_is_a_route_of_the_service(verb: str, entry: str) -> None:
    *words, path = entry.split()
    assert words[0] in ("GET", "POST", "PUT", "PATCH", "DELETE", *FORMS), verb
    methods = {"STREAM": [*words, "GET"][1], "UPLOAD": "PUT", "DOWNLOAD": "GET"}
    method = methods.get(words[0], words[0])
    for kind in KINDS if "{kind}" in path else ("",):
        check_served(verb, words[0], method, path.replace("{kind}", kind))


def check_served(verb: str, form: str, method: str, path: str) -> None:
    operation = served().get((method, re.sub(r"\{\w+\}", "{}", path)))
    assert operation is not None, f"{verb}: the service has no {method} {path}"
    if form == "STREAM":
        assert path == CHAT or operation.media == SSE_MEDIA, verb
    elif form != "DOWNLOAD":
        assert operation.media == "application/json", verb
    assert operation.streamed == (form == "UPLOAD"), verb


@pytest.mark.parametrize(
    "example", EXAMPLES, ids=lambda e: f"{e['verb']} {json.dumps(e['args'], ensure_ascii=True)}"
)
def test_an_example_means_the_same_request_in_python(example: dict[str, Any]) -> None:
    if "error" in example:
        with pytest.raises(AdapteryError) as caught:
            request_of(example["verb"], example["args"])
        assert caught.value.code == example["error"]
        return
    request = request_of(example["verb"], example["args"])
    assert request.method == example["method"]
    assert request.streamed == (example["kind"] == "stream")
    assert [unquote(segment) for segment in request.path.split("/")] == example["path"]
    assert {name: str(value) for name, value in request.query.items()} == example["query"]
    assert request.body == example["body"]
