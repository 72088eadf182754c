"""Suggestions and mappings: columns, tags, labels, encodings, chunks, members."""

import io
import json
import re
import unicodedata
import zipfile
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import InvalidInputError
from adaptery.formats import Mapping, read_records, suggest
from adaptery.formats.json_elements import elements_of
from adaptery.formats.nested_json import find_list
from adaptery.schemas.common import parse

DIALOGUES = """ID,section_header,section_text,dialogue
0,GENHX,"The patient is well.
No fever.","Doctor: How are you?
Patient: Well, thanks."
1,ROS,No cough.,"Doctor: Any ""cough""?
Patient: No."
"""


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def good(path, mapping, **options):
    read = list(read_records(path, mapping, **options))
    assert [entry.problem for entry in read if entry.problem] == []
    return [entry.record for entry in read]


def texts(record):
    return [message.content for message in record.messages]


def test_a_table_of_dialogues_comes_out_right_with_one_confirmation(tmp_path):
    path = write(tmp_path, "mts.csv", DIALOGUES)
    suggestion = suggest(path)
    assert not suggestion.confident  # so the user is asked, once
    assert "dialogue looks like what is asked" in suggestion.why
    assert {c.name: c.used_as for c in suggestion.columns} == {
        "ID": None,
        "section_header": None,
        "section_text": "completion",
        "dialogue": "prompt",
    }
    first, second = good(path, suggestion.mapping)
    assert texts(first) == [
        "Doctor: How are you?\nPatient: Well, thanks.",
        "The patient is well.\nNo fever.",
    ]
    assert texts(second)[0] == 'Doctor: Any "cough"?\nPatient: No.'
    stored = parse(Mapping, json.loads(suggestion.mapping.model_dump_json()))
    assert good(path, stored) == [first, second]


def test_a_constant_stands_in_every_record(tmp_path):
    path = write(tmp_path, "mts.csv", DIALOGUES)
    mapping = Mapping(
        format="prompt",
        container="csv",
        columns={"prompt": "dialogue", "completion": "section_text"},
        constants={"instruction": "Summarise.", "system": "You write notes."},
    )
    first, _ = good(path, mapping)
    assert texts(first)[:2] == [
        "You write notes.",
        "Summarise.\nDoctor: How are you?\nPatient: Well, thanks.",
    ]


@pytest.mark.parametrize(
    ("row", "format", "columns", "certain"),
    [
        ({"prompt": "q", "completion": "a"}, "prompt", ["prompt", "completion"], True),
        ({"src": "q", "tgt": "a", "file": "1"}, "prompt", ["prompt", "completion"], False),
        ({"question": "q", "context": "c", "answer": "a"}, "prompt", ["prompt"], False),
        ({"instruction": "q", "context": "c", "response": "a"}, "alpaca", ["input"], False),
        ({"text": "long"}, "text", ["text"], True),
        ({"prompt": "q", "chosen": "a", "rejected": "b"}, "preference", ["prompt"], True),
        ({"question": "q", "chosen": "a", "rejected": "b"}, "preference", ["prompt"], False),
        ({"prompt": "q", "completion": "a", "label": True}, "kto", ["label"], True),
        (
            {"instruction": "q", "input": "", "output": "a", "kto_tag": False},
            *("kto", ["output", "label"], True),
        ),
        (
            {
                "input": {"messages": [{"role": "user", "content": "q"}]},
                "preferred_output": [{"role": "assistant", "content": "a"}],
                "non_preferred_output": [{"role": "assistant", "content": "b"}],
            },
            *("preference", ["messages", "chosen"], True),
        ),
    ],
)
def test_what_columns_mean_is_suggested(tmp_path, row, format, columns, certain):
    path = write(tmp_path, "a.jsonl", f"{json.dumps(row)}\n" * 3)
    suggestion = suggest(path)
    assert (suggestion.mapping.format, suggestion.confident) == (format, certain)
    assert set(columns) <= set(suggestion.mapping.columns)
    assert len(good(path, suggestion.mapping)) == 3


def test_a_broken_record_does_not_hide_what_the_columns_are(tmp_path):
    path = tmp_path / "half.json"
    path.write_text(json.dumps([{"instruction": "a", "output": "b"}, {"instruction": 3}]))
    suggestion = suggest(path)
    assert suggestion.confident
    assert suggestion.mapping.format == "alpaca"


def test_both_answers_may_be_whole_conversations(tmp_path):
    question = {"role": "user", "content": "q"}
    row = {
        "chosen": [question, {"role": "assistant", "content": "a"}],
        "rejected": [question, {"role": "assistant", "content": "b"}],
    }
    path = write(tmp_path, "p.jsonl", f"{json.dumps(row)}\n")
    (record,) = good(path, suggest(path).mapping)
    assert (record.chosen.content, record.rejected.content) == ("a", "b")
    assert texts(record) == ["q"]


def test_other_tags_are_suggested_and_read(tmp_path):
    turns = [{"speaker": "doctor", "said": "How are you?"}, {"speaker": "patient", "said": "Well."}]
    path = write(tmp_path, "t.json", json.dumps([{"talk": turns}] * 3))
    suggestion = suggest(path)
    assert not suggestion.confident
    assert suggestion.mapping.tags.role_tag == "speaker"
    assert suggestion.mapping.tags.user_tag == ("doctor",)
    record, *_ = good(path, suggestion.mapping)
    assert [message.role for message in record.messages] == ["user", "assistant"]


def test_a_role_beside_the_known_ones_is_given_to_nobody(tmp_path):
    turns = [{"role": role, "content": "a"} for role in ("user", "assistant", "doctor")]
    path = write(tmp_path, "x.jsonl", json.dumps({"messages": turns}))
    suggestion = suggest(path)
    assert suggestion.mapping is not None and not suggestion.confident
    (read,) = read_records(path, suggestion.mapping)
    problem = read.problem
    assert (
        problem is not None
        and problem.where.endswith("messages[2].role")
        and "no known role" in problem.reason
    )
    assert "tags" in problem.remedy


def test_what_is_no_role_word_is_in_no_message(tmp_path):
    said = "Mr Miller, born 1950, has a cough since May"
    turns = [{"role": role, "content": "a"} for role in ("asker", said, "a\x1b[31mb", "assistant")]
    path = write(tmp_path, "x.jsonl", json.dumps({"messages": turns}))
    assert suggest(path).why.endswith("Their roles are asker and assistant.")


@pytest.mark.parametrize(
    ("tag", "role"),
    [("model", "assistant"), ("observation", "tool"), ("developer", "system")],
)
def test_role_words_in_use_are_known(tmp_path, tag, role):
    before = {"tool": ["human", "gpt"], "system": [], "assistant": ["human"]}[role]
    after = {"tool": ["gpt"], "system": ["human", "gpt"], "assistant": []}[role]
    turns = [{"from": word, "value": "x"} for word in [*before, tag, *after]]
    path = write(tmp_path, "r.json", json.dumps([{"conversations": turns}]))
    (record,) = good(path, suggest(path).mapping)
    assert record.messages[len(before)].role == role


def test_a_turn_may_be_nothing_but_a_call(tmp_path):
    call = {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "{}"}]}
    row = {"messages": [{"role": "user", "content": "q"}, call]}
    path = write(tmp_path, "c.jsonl", json.dumps(row))
    (record,) = good(path, suggest(path).mapping)
    assert record.messages[1].tool_calls == ({"name": "f", "arguments": {}},)


def test_an_older_spelling_of_calls_is_read(tmp_path):
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    answer = {"role": "function", "name": "f", "content": "[]"}
    row = {"messages": [{"role": "user", "content": "q"}, call, answer, call]}
    (record,) = good(write(tmp_path, "c.jsonl", json.dumps(row)), "openai")
    assert [message.role for message in record.messages] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    assert record.messages[3].tool_calls == ({"name": "f", "arguments": {}},)


def test_an_empty_system_turn_is_none(tmp_path):
    turns = [{"from": "system", "value": ""}, {"from": "human", "value": "q"}]
    rows = [
        {"conversations": [*turns, {"from": "gpt", "value": "a"}]},
        {"conversations": [*turns, {"from": "gpt", "value": ""}]},
    ]
    path = write(tmp_path, "s.json", json.dumps(rows))
    first, second = read_records(path, suggest(path).mapping)
    assert texts(first.record) == ["q", "a"]
    assert second.problem.where == "record 2, conversations[2]"


def test_labels_may_be_words(tmp_path):
    path = write(tmp_path, "k.csv", "prompt,completion,label\nq,a,good\nq,b,bad\n")
    suggestion = suggest(path)
    assert suggestion.mapping.format == "kto"
    assert [record.label for record in good(path, suggestion.mapping)] == [True, False]
    own = suggestion.mapping.model_copy(
        update={"values": suggestion.mapping.values.model_copy(update={"good": ("oui",)})}
    )
    first, second = read_records(path, own)
    assert first.problem.where == "record 1 (line 2), label" and second.record.label is False


# -- shapes of files --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "suggested"),
    [("utf-8-sig", None), ("utf-16", "utf-16"), ("utf-16-le", "utf-16-le"), ("cp1252", "cp1252")],
)
def test_an_encoding_is_suggested_and_read(tmp_path, encoding, suggested):
    rows = "prompt,completion\n" + "café « été,naïve\n" * 5
    path = write(tmp_path, "e.csv", rows.encode(encoding))
    suggestion = suggest(path)
    assert suggestion.mapping.encoding == suggested
    assert texts(good(path, suggestion.mapping)[0]) == ["café « été", "naïve"]


def test_bytes_that_an_encoding_does_not_have_are_told_by_line(tmp_path):
    rows = b"prompt,completion\nok,ok\n\x81,x\n"
    mapping = Mapping(
        format="prompt",
        container="csv",
        encoding="cp1252",
        columns={"prompt": "prompt", "completion": "completion"},
    )
    with pytest.raises(InvalidInputError, match="Line 3"):
        list(read_records(write(tmp_path, "e.csv", rows), mapping))


@pytest.mark.parametrize(
    ("name", "sign", "delimiter"), [("a.csv", ";", ";"), ("a.tsv", "\t", None), ("a.csv", "|", "|")]
)
def test_separators_are_suggested(tmp_path, name, sign, delimiter):
    path = write(tmp_path, name, f"prompt{sign}completion\nq, and more{sign}a\n")
    suggestion = suggest(path)
    assert suggestion.mapping.delimiter == delimiter
    assert texts(good(path, suggestion.mapping)[0]) == ["q, and more", "a"]


@pytest.mark.parametrize(
    ("text", "records"),
    [
        ('{"version": 1, "data": [{"src": "q", "tgt": "a"}]}', "data"),
        ('{"a": {"b": [1], "c": [{"prompt": "q", "completion": "a"}]}}', "a.c"),
        ('{\n "x": "]}[{", "rows": [\n{"prompt": "q", "completion": "a"}\n]\n}', "rows"),
    ],
)
def test_a_list_inside_an_object_is_found(tmp_path, text, records):
    path = write(tmp_path, "n.json", text)
    suggestion = suggest(path)
    assert suggestion.mapping.records == records
    assert texts(good(path, suggestion.mapping)[0]) == ["q", "a"]


def test_one_conversation_written_over_lines_is_one_record(tmp_path):
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    path = write(tmp_path, "one.json", json.dumps(row, indent=2))
    assert len(good(path, suggest(path).mapping)) == 1


def test_a_column_that_comes_late_is_read(tmp_path):
    rows = [{"instruction": "q", "output": "a"}] * 50 + [
        {"instruction": "q", "output": "a", "system": "late"}
    ]
    path = write(tmp_path, "late.jsonl", "\n".join(map(json.dumps, rows)))
    assert texts(good(path, suggest(path).mapping)[-1])[0] == "late"


# -- chunks of text ---------------------------------------------------------------------------


def chunked(path, **chunks):
    mapping = Mapping.model_validate({"format": "text", "container": "txt", "chunks": chunks})
    return [record.text for record in good(path, mapping)]


def test_paragraphs_are_gathered_with_an_overlap(tmp_path):
    path = write(tmp_path, "p.txt", "one\n\ntwo\n\n\nthree\n\nfour")
    assert chunked(path, by="paragraph", size=2, overlap=1) == [
        *("one\n\ntwo", "two\n\nthree", "three\n\nfour"),
    ]
    assert chunked(path, by="paragraph", size=3) == ["one\n\ntwo\n\nthree", "four"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.text("abä", min_size=1, max_size=6), min_size=1, max_size=60),
    st.integers(1, 9),
    st.data(),
)
def test_chunks_of_tokens_hold_each_word_and_overlap(tmp_path, words, size, data):
    overlap = data.draw(st.integers(0, size * 3 // 4))
    path = write(tmp_path, "w.txt", " ".join(words))
    found = [chunk.split() for chunk in chunked(path, by="tokens", size=size, overlap=overlap)]
    words = [unicodedata.normalize("NFC", word) for word in words]
    rebuilt = found[0] + [word for chunk in found[1:] for word in chunk[overlap:]]
    assert rebuilt == words
    assert all(len(chunk) == size for chunk in found[:-1]) and len(found[-1]) <= size
    for one, following in pairwise(found):
        assert one[size - overlap :] == following[:overlap]


def test_a_caller_brings_the_tokenizer(tmp_path):
    path = write(tmp_path, "t.txt", "abcdef")
    mapping = Mapping.model_validate(
        {"format": "text", "container": "txt", "chunks": {"by": "tokens", "size": 4}}
    )
    records = good(path, mapping, tokenize=lambda text: [(i, i + 1) for i in range(len(text))])
    assert [record.text for record in records] == ["abcd", "ef"]


# -- archives and folders ---------------------------------------------------------------------


def pack(path, files):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


ROW = '{"prompt": "q", "completion": "a"}\n'


def test_each_file_of_an_archive_has_a_suggestion_of_its_own(tmp_path):
    files = {
        "README.md": "about",
        "__MACOSX/._train.jsonl": "x",
        "set/train.jsonl": ROW * 2,
        "set/notes.txt": "one\n\ntwo",
        "set/picture.png": b"\x89PNG",
    }
    path = pack(tmp_path / "a.zip", files)
    suggestion = suggest(path)
    read = {member.name: member.mapping and member.mapping.format for member in suggestion.members}
    assert read == {
        "README.md": None,
        "set/train.jsonl": "prompt",
        "set/notes.txt": "text",
        "set/picture.png": None,
    }
    assert [record.kind for record in good(path, suggestion.mapping)] == [
        *["chat"] * 2,
        *["text"] * 2,
    ]
    one = suggestion.members[2].mapping
    assert len(good(path, one)) == 2


def test_a_problem_in_an_archive_names_its_file(tmp_path):
    path = pack(tmp_path / "a.zip", {"one.jsonl": ROW, "two.jsonl": ROW + '{"prompt": "q"}\n'})
    read = list(read_records(path, suggest(path).mapping))
    assert [entry.number for entry in read] == [1, 2, 3]
    assert read[2].problem.where == "two.jsonl, record 2, completion"


def test_the_description_of_a_folder_is_followed(tmp_path):
    info = {
        "talks": {
            "file_name": "talks.json",
            "formatting": "sharegpt",
            "columns": {"messages": "turns", "system": "role_text"},
            "tags": {
                "role_tag": "who",
                "content_tag": "what",
                "user_tag": "D",
                "assistant_tag": "P",
            },
        },
        "pairs": {"file_name": "pairs.jsonl", "ranking": True, "columns": {"prompt": "q"}},
        "pictures": {"file_name": "pictures.json", "columns": {"images": "image"}},
        "remote": {"hf_hub_url": "somebody/something"},
    }
    turns = [{"who": "D", "what": "q"}, {"who": "P", "what": "a"}]
    files = {
        "data/dataset_info.json": json.dumps(info),
        "data/talks.json": json.dumps([{"turns": turns, "role_text": "s"}]),
        "data/pairs.jsonl": '{"q": "q", "chosen": "a", "rejected": "b"}\n',
        "data/pictures.json": '[{"image": "x.png"}]',
    }
    path = pack(tmp_path / "a.zip", files)
    suggestion = suggest(path)
    assert suggestion.confident and "1 dataset is not in it" in suggestion.why
    talk, pair = good(path, suggestion.mapping)
    assert texts(talk) == ["s", "q", "a"] and pair.kind == "preference"
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "folder")
    assert good(tmp_path / "folder", suggest(tmp_path / "folder").mapping) == [talk, pair]


def documented_examples():
    page = (Path(__file__).parents[3] / "docs" / "reference" / "formats.md").read_text()
    formats, _, _ = page.partition("## What a record must be")
    return re.findall(r"```json\n(.*?)```", formats, re.DOTALL)


@pytest.mark.parametrize("example", documented_examples())
def test_the_examples_of_the_reference_are_read(tmp_path, example):
    value = json.loads(example)
    if "container" in value:
        assert parse(Mapping, value).columns
        return
    path = write(tmp_path, "example.json", example)
    suggestion = suggest(path)
    assert suggestion.confident and len(good(path, suggestion.mapping)) == 1


# -- lists inside objects, wherever the file is cut -------------------------------------------

plain = st.none() | st.booleans() | st.integers(-9, 9) | st.text('"\\{}[],: é', max_size=8)
lists = st.lists(
    plain | st.dictionaries(st.text('a"\\', max_size=2), plain, max_size=2), max_size=3
)
nested = st.recursive(
    plain | lists,
    lambda inner: st.dictionaries(st.text('ab"\\', min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


def first_list(value, path=()):
    """Return the path of the first list that begins with an object, and the list."""
    for key, inner in value.items():
        if isinstance(inner, list) and inner and isinstance(inner[0], dict):
            return (*path, key), inner
        if isinstance(inner, dict) and len(path) < 3 and (found := first_list(inner, (*path, key))):
            return found
    return None


@settings(deadline=None)
@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=2), nested, max_size=4), st.integers(0, 40)
)
def test_a_list_is_found_and_read_wherever_the_file_is_cut(value, shift):
    text = json.dumps(value, ensure_ascii=False).encode()
    padded = b" " * max(0, 64 * 1024 - shift) + text  # the cut falls into the middle of things
    expected = first_list(value)
    found = find_list(io.BytesIO(padded))
    assert found == (expected and ".".join(expected[0]))
    if expected is not None:
        elements = list(elements_of(io.BytesIO(padded), found))
        assert [json.loads(element) for element in elements] == expected[1]


def test_the_examples_of_the_how_to_run(tmp_path, monkeypatch):
    page = (Path(__file__).parents[3] / "docs" / "howto" / "translate.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    alone = [block for block in blocks if "visits." not in block or "import Path" in block]
    assert len(alone) == 3
    write(tmp_path, "dialogues.csv", DIALOGUES)
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in alone:
        exec(block, names)
    assert names["report"].records == 2 and names["mapping"].chunks.overlap == 64
    assert len((tmp_path / "dialogues.jsonl").read_text().splitlines()) == 2


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_a_file_that_does_not_say_its_byte_order_is_refused(tmp_path, encoding):
    path = write(tmp_path, "a.csv", "text\ncough\n".encode(f"{encoding}-le"))
    mapping = Mapping(format="text", container="csv", columns={"text": "text"}, encoding=encoding)
    with pytest.raises(InvalidInputError, match=f"not {encoding}"):
        list(read_records(path, mapping))
