"""Canonical JSON, records and digests."""

import hashlib
import json
import math
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.canonical import CanonicalError, canonical_json
from adaptery.digests import (
    TreeHasher,
    content_digest,
    is_digest,
    sha256_bytes,
    sha256_file,
    tree_hash,
)
from adaptery.errors import RecordError
from adaptery.records import Message, Record

texts = st.text(st.characters(codec="utf-8"), max_size=20)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
spoken = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30).filter(str.strip)


@st.composite
def conversations(draw):
    system = draw(st.none() | spoken)
    turns = draw(st.lists(st.tuples(spoken, spoken), min_size=1, max_size=4))
    messages = [] if system is None else [Message("system", system)]
    for question, answer in turns:
        messages += [Message("user", question), Message("assistant", answer)]
    return Record.chat(messages)


# -- canonical JSON ---------------------------------------------------------------------------


@given(json_values)
def test_canonical_json_is_json_of_the_same_value_and_stable(value):
    try:
        written = canonical_json(value)
    except CanonicalError as exc:
        assert "two keys" in exc.reason or "2^53" in exc.reason
        return
    read = json.loads(written)
    assert canonical_json(read) == written


@given(texts)
def test_strings_are_brought_to_nfc(text):
    forms = {canonical_json(unicodedata.normalize(form, text)) for form in ("NFC", "NFD")}
    assert len(forms) == 1


def test_keys_are_sorted_as_rfc_8785_sorts_them():
    # Source: RFC 8785, section 3.2.3: by UTF-16 code units, so an emoji stands before U+FF21.
    order = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\uff21"]
    written = canonical_json(dict.fromkeys(reversed(order), 0))
    assert [key for key, _ in json.loads(written, object_pairs_hook=list)] == order


def test_numbers_are_equal_by_value():
    assert canonical_json([1.0, 0.1, 1e21, -0.0]) == b"[1,0.1,1e+21,0]"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"a": {"b": [1, math.nan]}}, "a.b[1]"),
        ({"a": math.inf}, "a"),
        ({"a": 2**53}, "a"),
        ({"a": 2.0**60}, "a"),
        ({"a": "x\ud800"}, "a"),
        ({"Jane Doe has a long record here, with words": "\udc00"}, "(a key)"),
        ({"a": b"bytes"}, "a"),
        ({"\xe9": 1, "e\u0301": 2}, ""),
        ({1: 2}, ""),
    ],
)
def test_what_has_no_canonical_form_names_its_field(value, path):
    with pytest.raises(CanonicalError) as caught:
        canonical_json(value)
    assert caught.value.path == path


def test_deep_nesting_is_refused_before_the_stack_ends():
    value = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(CanonicalError, match="nested"):
        canonical_json(value)


# -- records ----------------------------------------------------------------------------------


@given(conversations())
def test_a_record_round_trips(record):
    again = Record.from_dict(json.loads(json.dumps(record.to_dict())))
    assert again == record and again.record_id() == record.record_id()
    assert is_digest(record.record_id())


@given(texts)
def test_the_id_is_that_of_the_canonical_json(text):
    for record in (Record("text", text=text), Record("chat", (Message("user", text),))):
        plain = canonical_json(record.to_dict())
        assert record.record_id() == f"sha256:{hashlib.sha256(plain).hexdigest()}"
    with pytest.raises(CanonicalError):
        Record("text", text=text + "\ud800").record_id()


def test_tools_and_weights_are_part_of_the_record():
    plain = [Message("user", "q"), Message("assistant", "a")]
    weighted = [Message("user", "q"), Message("assistant", "a", weight=0)]
    ids = {
        Record.chat(plain).record_id(),
        Record.chat(weighted).record_id(),
        Record.chat(plain, tools=[{"name": "t"}]).record_id(),
    }
    assert len(ids) == 3
    full = [Message("user", "q"), Message("assistant", "a", weight=1)]
    assert Record.chat(full).record_id() == Record.chat(plain).record_id()


def test_text_in_nfd_is_the_same_record():
    assert Record.of_text("Zoe\u0308").record_id() == Record.of_text("Zo\u00eb").record_id()


def test_a_preference_round_trips():
    value = {
        "kind": "preference",
        "messages": [{"role": "user", "content": "q"}],
        "chosen": {"role": "assistant", "content": "good"},
        "rejected": {"role": "assistant", "content": "bad"},
    }
    assert Record.from_dict(value).to_dict() == value


USER, ANSWER = {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}


@pytest.mark.parametrize("label", [True, False])
def test_a_labelled_chat_round_trips(label):
    value = {"kind": "kto", "messages": [USER, ANSWER], "label": label}
    assert Record.from_dict(value).to_dict() == value


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ([], "record"),
        ({}, "kind"),
        ({"kind": "poem"}, "kind"),
        ({"kind": "text", "text": "  "}, "text"),
        ({"kind": "text", "text": 3}, "text"),
        ({"kind": "text", "text": "x", "secret": 1}, "record"),
        ({"kind": "chat"}, "messages"),
        ({"kind": "kto", "messages": [USER, ANSWER]}, "label"),
        ({"kind": "kto", "messages": [USER, ANSWER], "label": 1}, "label"),
        ({"kind": "kto", "messages": [USER], "label": True}, "messages"),
        ({"kind": "chat", "messages": [USER, ANSWER], "label": True}, "record"),
        ({"kind": "chat", "messages": []}, "messages"),
        ({"kind": "chat", "messages": [USER]}, "messages"),
        ({"kind": "chat", "messages": [ANSWER]}, "messages[0].role"),
        ({"kind": "chat", "messages": [USER, USER, ANSWER]}, "messages[1].role"),
        ({"kind": "chat", "messages": [USER, ANSWER, ANSWER]}, "messages[2].role"),
        ({"kind": "chat", "messages": [{"role": "bot", "content": "x"}]}, "messages[0].role"),
        ({"kind": "chat", "messages": [{**USER, "content": ""}, ANSWER]}, "messages[0].content"),
        ({"kind": "chat", "messages": [{**USER, "weight": 0}, ANSWER]}, "messages[0].weight"),
        ({"kind": "chat", "messages": [USER, {**ANSWER, "weight": 2}]}, "messages[1].weight"),
        ({"kind": "chat", "messages": [USER, {**ANSWER, "weight": True}]}, "messages[1].weight"),
        ({"kind": "chat", "messages": [USER, {**ANSWER, "x": 1}]}, "messages[1]"),
        (
            {"kind": "chat", "messages": [USER, {**ANSWER, "weight": math.nan}]},
            "messages[1].weight",
        ),
        (
            {"kind": "chat", "messages": [USER, {**ANSWER, "content": "\ud800"}]},
            "messages[1].content",
        ),
        ({"kind": "chat", "messages": [USER, ANSWER], "tools": [2]}, "tools[0]"),
        ({"kind": "chat", "messages": [USER, ANSWER], "tools": [{"n": 2**60}]}, "tools[0].n"),
    ],
)
def test_a_bad_record_names_the_field_and_not_its_content(value, where):
    with pytest.raises(RecordError) as caught:
        Record.from_dict(value)
    (problem,) = caught.value.errors
    assert problem.where == where and problem.reason


# -- digests ----------------------------------------------------------------------------------


def reference_tree_hash(leaves):
    """RFC 6962, section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = reference_tree_hash(leaves[:k]), reference_tree_hash(leaves[k:])
    return hashlib.sha256(b"\x01" + left + right).digest()


@given(st.lists(st.binary(max_size=4), max_size=40))
def test_the_tree_hash_is_that_of_the_standard(leaves):
    assert tree_hash(leaves) == reference_tree_hash(leaves)


def test_known_answers_of_the_tree_hash():
    # Source: certificate-transparency test vectors (merkle_tree_test), leaves of that suite.
    leaves = [b"", b"\x00", b"\x10", b"\x20\x21", b"\x30\x31", b"\x40\x41\x42\x43"]
    expected = {
        1: "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        2: "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        3: "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    }
    for count, root in expected.items():
        assert tree_hash(leaves[:count]).hex() == root


def test_the_hasher_can_be_asked_at_any_time():
    hasher = TreeHasher()
    for count in range(20):
        assert hasher.root() == reference_tree_hash([b"x"] * count)
        hasher.add(b"x")


@given(st.lists(conversations(), min_size=2, max_size=6, unique_by=Record.record_id), st.data())
def test_the_content_digest_changes_with_any_change_of_a_record_or_of_order(records, data):
    ids = [record.record_id() for record in records]
    digest = content_digest(ids)
    i = data.draw(st.integers(0, len(ids) - 2))
    swapped = [*ids[:i], ids[i + 1], ids[i], *ids[i + 2 :]]
    last = records[i].messages[-1]
    edited = Record.chat([*records[i].messages[:-1], Message("assistant", last.content + "x")])
    changed = [*ids[:i], edited.record_id(), *ids[i + 1 :]]
    others = [swapped, changed, ids[:-1], [*ids, ids[0]]]
    assert all(content_digest(other) != digest for other in others)
    assert content_digest(ids) == digest


def test_only_a_recipe_adds_to_the_content_digest():
    ids = [Record.of_text("a").record_id()]
    assert content_digest(ids) != content_digest(ids, {"sources": ["x"]})
    assert content_digest(ids, {"a": 1, "b": 2}) == content_digest(ids, {"b": 2, "a": 1})


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"abc" * 100_000)
    assert sha256_file(path) == sha256_bytes(b"abc" * 100_000)
    assert is_digest(sha256_file(path)) and not is_digest("sha256:xyz")
