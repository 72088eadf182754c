"""Answers that follow a grammar, held against jsonschema; tokens are drawn at random."""

import json
import random
from collections.abc import Callable

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adaptery_inference import grammars
from adaptery_inference.build import BuiltEngine
from adaptery_inference.engine import GrammarSource
from adaptery_inference.errors import BadRequestError
from adaptery_inference.grammars import CompiledGrammar, GrammarCompiler, vocabulary_of
from support.engine import json_grammar
from support.examples import examples
from tiny.models import SPECIAL_TOKENS, build_tiny_tokenizer

END = SPECIAL_TOKENS.index("<|im_end|>")
TOKENIZER = build_tiny_tokenizer()
SIZE = len(TOKENIZER) + 5  # a model may make more logits than there are tokens
VOCABULARY = vocabulary_of(TOKENIZER.backend_tokenizer.to_str(), SIZE, [END])


@pytest.fixture
def compiler() -> GrammarCompiler:
    return GrammarCompiler(VOCABULARY)


def allowed(mask: bytes) -> list[int]:
    return [token for token in range(len(mask) * 8) if mask[token >> 3] >> (token & 7) & 1]


def walk(grammar: CompiledGrammar, chooser: random.Random, limit: int = 3000) -> str:
    """An answer of tokens drawn from what is allowed; it prefers to end what it has begun."""
    matcher, answer = grammar.matcher(), b""
    closing = [VOCABULARY.tokenize_str(letter)[0] for letter in '"}]']
    while not matcher.complete and len(answer) < limit:
        mask = matcher.mask()
        assert mask is not None
        tokens = allowed(mask)
        assert tokens and max(tokens) < len(TOKENIZER)
        ends = [token for token in (END, *closing) if token in tokens]
        token = chooser.choice(ends if ends and chooser.random() < 0.3 else tokens)
        if token == END:
            break
        assert not VOCABULARY.is_special_token(token)
        matcher.accept(token)
        assert not matcher.broken
        answer += VOCABULARY.decode_bytes([token])
    return answer.decode("utf-8")


SCALARS = st.sampled_from(
    [
        {"type": "boolean"},
        {"type": "null"},
        {"type": "integer", "minimum": -5, "maximum": 500},
        {"type": "number", "minimum": 0, "maximum": 9},
        {"type": "string", "maxLength": 5},
        {"type": "string", "pattern": "^[a-c]{1,3}$"},
        {"type": "string", "format": "date"},
        {"enum": ["é🙂", 'a"\\\n', 3, None, {"x": [1]}]},
        {"const": "}\nstart: x\n%json {"},
        {"$ref": "#/$defs/shared"},
    ]
)


def _containers(inner: st.SearchStrategy[dict[str, object]]) -> st.SearchStrategy[object]:
    objects = st.dictionaries(
        st.sampled_from(["a", "b b", "ü", '"}', "$ref"]), inner, min_size=1, max_size=3
    )
    return st.one_of(
        st.builds(
            lambda fields, some: {
                "type": "object",
                "properties": fields,
                "required": list(fields)[:some],
                "additionalProperties": False,
            },
            objects,
            st.integers(0, 3),
        ),
        st.builds(lambda item: {"type": "array", "items": item, "maxItems": 3}, inner),
        st.builds(lambda some: {"anyOf": some}, st.lists(inner, min_size=1, max_size=3)),
    )


SCHEMAS = st.recursive(SCALARS, _containers, max_leaves=5)


@settings(max_examples=examples(60), deadline=None)
@given(SCHEMAS, st.integers(0, 10**6))
def test_every_answer_is_json_of_its_schema(schema: dict[str, object], seed: int) -> None:
    whole = {**schema, "$defs": {"shared": {"type": "string", "enum": ["x", "yy"]}}}
    if schema.get("$ref"):
        whole = {"anyOf": [schema], "$defs": whole["$defs"]}
    grammar = GrammarCompiler(VOCABULARY).compile(json_grammar(whole))
    answer = json.loads(walk(grammar, random.Random(seed)))
    jsonschema.validate(answer, whole)


def test_a_schema_that_refers_to_itself_is_followed(compiler: GrammarCompiler) -> None:
    tree = {
        "type": "object",
        "properties": {"name": {"enum": ["a"]}, "parts": {"$ref": "#/$defs/trees"}},
        "required": ["name", "parts"],
        "additionalProperties": False,
        "$defs": {"trees": {"type": "array", "items": {"$ref": "#"}, "maxItems": 1}},
    }
    for seed in range(20):
        jsonschema.validate(
            json.loads(walk(compiler.compile(json_grammar(tree)), random.Random(seed))), tree
        )


def test_an_answer_has_no_room_for_blank_lines(compiler: GrammarCompiler) -> None:
    matcher = compiler.compile(json_grammar({"type": "object"})).matcher()
    for token in VOCABULARY.tokenize_str('{"a": '):
        matcher.accept(token)
    mask = matcher.mask()
    assert mask is not None
    assert not {VOCABULARY.tokenize_str(c)[0] for c in " \n\t"} & set(allowed(mask))


def _nested(levels: int) -> object:
    schema: object = {"type": "string"}
    for _ in range(levels):
        schema = {"allOf": [schema, schema]}
    return schema


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "string", "not": {"const": "a"}}, 'Unimplemented keys: ["not"]'),
        ({"type": "array", "uniqueItems": True}, "uniqueItems"),
        ({"type": "string", "format": "nonsense"}, "format"),
        ({"type": "string", "pattern": "("}, "unclosed group"),
        ({"$ref": "#/nowhere"}, "nowhere"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}, "allows no JSON"),
        ({"properties": {"a": False}, "required": ["a"], "type": "object"}, "nsatisfiable"),
        ({"allOf": [{"type": "string"}, {"type": "null"}]}, "nsatisfiable"),
    ],
)
def test_a_schema_that_cannot_be_followed_is_refused_with_the_reason(
    schema: object, reason: str, compiler: GrammarCompiler
) -> None:
    with pytest.raises(BadRequestError) as caught:
        compiler.compile(json_grammar(schema))
    (problem,) = caught.value.errors
    assert problem.where == "response_format"
    assert reason in problem.reason
    assert len(problem.reason) < 300
    assert "start:" not in problem.reason


@pytest.mark.parametrize(
    "schema",
    [
        _nested(18),
        {"anyOf": [{"properties": {f"p{j}": {} for j in range(i)}} for i in range(80)]},
        {"type": "string", "pattern": "^(.*a){30}.{900}(b.*){30}$"},
        {"type": "array", "items": {"type": "string"}, "minItems": 100_000_000},
        {"enum": [f"value-{i}" for i in range(4_000)]},
    ],
    ids=["doubling", "many alternatives", "a wild pattern", "endless", "a long list"],
)
def test_what_costs_too_much_is_refused_or_ends_within_the_limits(
    schema: object, compiler: GrammarCompiler
) -> None:
    try:
        grammar = compiler.compile(GrammarSource(f"start: %json {json.dumps(schema)}", "x"))
    except BadRequestError as error:
        assert [problem.where for problem in error.errors] == ["x"]
        return
    matcher, chooser = grammar.matcher(), random.Random(0)
    for _ in range(200):
        mask = matcher.mask()
        if mask is None:
            assert matcher.broken
            return
        token = chooser.choice(allowed(mask))
        if token == END:
            return
        matcher.accept(token)


def test_grammars_are_kept_within_a_limit(
    compiler: GrammarCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [json_grammar({"const": f"{i}" * 100}) for i in range(4)]
    monkeypatch.setattr(grammars, "MAX_KEPT_CHARACTERS", 3 * len(texts[0].text))
    first = [compiler.compile(text).prototype for text in texts[:3]]
    assert compiler.compile(texts[0]).prototype is first[0]
    compiler.compile(texts[3])  # the second was used least recently
    assert compiler.compile(texts[0]).prototype is first[0]
    assert compiler.compile(texts[2]).prototype is first[2]
    assert compiler.compile(texts[1]).prototype is not first[1]


def test_a_grammar_that_is_too_long_is_refused(compiler: GrammarCompiler) -> None:
    text = "start: " + "x" * grammars.MAX_SOURCE_CHARACTERS
    with pytest.raises(BadRequestError, match="longer than 131072"):
        compiler.compile(GrammarSource(text, "tools"))


def test_the_engine_allows_its_own_end_tokens(build: Callable[..., BuiltEngine]) -> None:
    built = build()
    matcher = built.grammars.compile(json_grammar({"type": "integer"})).matcher()
    matcher.accept(built.tokenizer.encode("7")[0])
    mask = matcher.mask()
    assert mask is not None
    assert built.tokenizer.end_tokens() <= set(allowed(mask))
    assert built.token_bytes(built.tokenizer.encode("é")[0]) == b"\xc3"
