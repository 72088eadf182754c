"""Formats: what is read, what is refused, and what the errors say."""

import csv
import json
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.digests import content_digest
from adaptery.errors import AdapteryError, InvalidInputError, TooLargeError
from adaptery.formats import detect_format, read_records, suggest
from adaptery.formats.json_elements import CHUNK_BYTES
from adaptery.formats.limits import RECORD_LIMIT_BYTES
from support.examples import examples

SECRET = "the patient is Jane Roe"
spoken = st.text(
    st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=40
).filter(str.strip)
dialogues = st.lists(st.tuples(spoken, spoken), min_size=1, max_size=4)


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def good(path, format=None):
    read = list(read_records(path, format or detect_format(path)))
    assert [entry.problem for entry in read if entry.problem] == []
    return [entry.record for entry in read]


def problems(path, format):
    return [entry.problem for entry in read_records(path, format) if entry.problem]


def as_alpaca(turns, system=None):
    *history, (question, answer) = turns
    row = {"instruction": question, "output": answer, "history": [list(pair) for pair in history]}
    return row if system is None else {**row, "system": system}


def as_sharegpt(turns, system=None, *, tags=("human", "gpt")):
    conversation = [
        {"from": tag, "value": text} for pair in turns for tag, text in zip(tags, pair, strict=True)
    ]
    return {"conversations": conversation} | ({} if system is None else {"system": system})


def as_openai(turns, system=None):
    messages = [] if system is None else [{"role": "system", "content": system}]
    for question, answer in turns:
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": [{"type": "text", "text": answer}]},
        ]
    return {"messages": messages}


# -- the same records whatever the format -----------------------------------------------------


@given(st.lists(dialogues, min_size=1, max_size=4), st.none() | spoken)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(40),
    deadline=None,
)
def test_the_content_digest_is_equal_across_formats(tmp_path, conversations, system):
    digests = set()
    for name, convert in (
        ("a", as_alpaca),
        ("s", as_sharegpt),
        ("o", as_openai),
        ("m", lambda turns, system: as_sharegpt(turns, system, tags=("user", "model"))),
    ):
        rows = [convert(turns, system) for turns in conversations]
        as_list = write(tmp_path, f"{name}.json", json.dumps(rows, indent=2))
        as_lines = write(
            tmp_path,
            f"{name}.jsonl",
            "\n".join(json.dumps(row, ensure_ascii=False) for row in rows),
        )
        for path in (as_list, as_lines):
            digests.add(content_digest(record.record_id() for record in good(path)))
    assert len(digests) == 1


def test_alpaca_joins_instruction_and_input(tmp_path):
    path = write(
        tmp_path,
        "a.json",
        json.dumps(
            [
                {"instruction": "Sum up.", "input": "A text.", "output": "Short."},
                {
                    "instruction": "Hi",
                    "input": "",
                    "output": "Hello",
                    "system": "",
                    "history": None,
                },
            ]
        ),
    )
    first, second = good(path)
    assert [message.content for message in first.messages] == ["Sum up.\nA text.", "Short."]
    assert [message.role for message in second.messages] == ["user", "assistant"]


def test_function_calls_are_the_same_in_both_spellings(tmp_path):
    call = {"name": "search", "arguments": {"q": "rice"}}
    sharegpt = {
        "conversations": [
            {"from": "human", "value": "cook"},
            {"from": "function_call", "value": json.dumps(call)},
            {"from": "observation", "value": "[]"},
            {"from": "gpt", "value": "nothing"},
        ],
        "tools": json.dumps([{"name": "search"}]),
    }
    function = {"name": "search", "arguments": json.dumps(call["arguments"])}
    openai = {
        "messages": [
            {"role": "user", "content": "cook"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [{"id": "c1", "type": "function", "function": function}],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "[]"},
            {"role": "assistant", "content": "nothing"},
        ],
        "tools": [{"type": "function", "function": {"name": "search"}}],
    }
    (one,) = good(write(tmp_path, "s.jsonl", json.dumps(sharegpt)))
    (other,) = good(write(tmp_path, "o.jsonl", json.dumps(openai)))
    assert one == other and one.messages[1].tool_calls == (call,)


def test_text_is_read_by_paragraphs(tmp_path):
    path = write(tmp_path, "t.txt", "\ufeffOne\r\nline two\r\n\r\n  \r\nTwo\n\n\n\nThree")
    assert [record.text for record in good(path)] == ["One\nline two", "Two", "Three"]
    rows = write(tmp_path, "t.jsonl", '{"text": "One"}\n\n{"text": "Two"}\n')
    assert [record.text for record in good(rows)] == ["One", "Two"]


def test_a_byte_order_mark_does_not_matter(tmp_path):
    rows = json.dumps([as_alpaca([("q", "a")])])
    assert len(good(write(tmp_path, "bom.json", b"\xef\xbb\xbf" + rows.encode()))) == 1


def test_columns_that_are_not_used_are_named(tmp_path):
    row = {"instruction": "q", "output": "a", "id": 7, "Jane Roe, born 1970, has asthma.": 1}
    path = write(tmp_path, "a.json", json.dumps([row]))
    (read,) = read_records(path, "alpaca")
    assert read.ignored == ("(a name)", "id")


# -- streaming --------------------------------------------------------------------------------


@given(
    st.lists(
        st.dictionaries(st.text(max_size=5), st.text('"\\{}[],:\n é', max_size=30), max_size=3),
        min_size=1,
        max_size=6,
    ),
    st.integers(0, 3),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_records_are_cut_where_json_ends_them(tmp_path, rows, padding):
    from adaptery.formats.json_elements import elements_of

    pad = " " * (CHUNK_BYTES - padding)  # the cut falls into the middle of things
    path = write(tmp_path, "x.json", pad + json.dumps(rows, ensure_ascii=False))
    with path.open("rb") as stream:
        assert [json.loads(element) for element in elements_of(stream)] == rows


def large_json(path, row, count):
    with path.open("w") as stream:
        stream.write("[" + f"{row}," * (count - 1) + row + "]")


def large_table(path, row, count):
    with path.open("w") as stream:
        writer = csv.DictWriter(stream, list(json.loads(row)))
        writer.writeheader()
        writer.writerows([json.loads(row)] * count)


def large_archive(path, row, count):
    with zipfile.ZipFile(path, "w") as archive, archive.open("a.jsonl", "w") as stream:
        stream.write(f"{row}\n".encode() * count)


@pytest.mark.parametrize(
    ("name", "make"), [("a.json", large_json), ("a.csv", large_table), ("a.zip", large_archive)]
)
def test_a_large_file_is_never_whole_in_memory(tmp_path, name, make):
    import tracemalloc

    path, count = tmp_path / name, 1500
    make(path, json.dumps({"instruction": "q", "output": "word " * 2000}), count)
    mapping = suggest(path).mapping
    tracemalloc.start()
    try:
        assert sum(1 for _ in read_records(path, mapping)) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert path.stat().st_size > 15_000_000 > 10 * peak


# -- wrong uploads ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("zero.json", b"", "empty"),
        ("blank.txt", b" \n\n ", "empty"),
        ("list.json", b"[]", "no records"),
        ("binary.json", b"[\x00\x01\x02", "binary"),
        ("pic.txt", b"\x89PNG\r\n\x1a\n\x00\x00", "binary"),
        ("sheet.json", b"PK\x03\x04" + b"x" * 50, "ZIP"),
        ("table.json", b"PAR1" + b"x" * 50, "Parquet"),
        ("prose.json", b"Dear all,", "not JSON"),
        ("cut.json", b'[{"instruction": "a", "output": "b"}, {"instruction": "c', "record 2"),
        ("cut2.json", b'[{"instruction": "a", "output": "b"},', "record 2"),
        ("open.json", b'[{"instruction": "a", "output": "b"}', "record 1"),
        ("more.json", b'[{"instruction": "a", "output": "b"}] {"x": 1}', "follows"),
        ("columns.json", b'[{"question": "a", "answer": "b"}]', "is not certain"),
        ("object.json", b'{\n "data": [1, 2]\n}', "found: data"),
        ("data.csv", b"a,b\n1,2\n", "found: a, b"),
        ("data.xml", b"<a/>", "type"),
    ],
)
def test_a_wrong_upload_gets_a_clear_error(tmp_path, name, content, words):
    path = write(tmp_path, name, content)
    with pytest.raises(AdapteryError) as caught:
        list(read_records(path, detect_format(path)))
    assert words in str(caught.value)
    assert caught.value.status in (413, 422)


def test_a_record_over_the_limit_is_refused_early(tmp_path):
    long = json.dumps([{"instruction": "q", "output": "x" * (RECORD_LIMIT_BYTES + 100_000)}])
    with pytest.raises(TooLargeError, match="Record 1"):
        list(read_records(write(tmp_path, "l.json", long), "alpaca"))
    with pytest.raises(TooLargeError, match="Record 1"):
        list(read_records(write(tmp_path, "l.jsonl", long[1:-1]), "alpaca"))
    with pytest.raises(TooLargeError, match="Paragraph 2"):
        text = "a\n\n" + "x" * (RECORD_LIMIT_BYTES + 1)
        list(read_records(write(tmp_path, "l.txt", text), "text"))


BAD_ALPACA = [
    ({"instruction": SECRET}, "record 1, output"),
    ({"instruction": "q", "output": ""}, "record 1, output"),
    ({"instruction": "q", "output": 5}, "record 1, output"),
    ({"instruction": "", "input": "", "output": SECRET}, "record 1, instruction"),
    ({"instruction": "q", "output": "a", "history": [[SECRET]]}, "record 1, history[0]"),
    ({"instruction": "q", "output": "a", "history": [["", SECRET]]}, "record 1, history[0][0]"),
    ({"instruction": "q", "output": "a", "system": [SECRET]}, "record 1, system"),
    ({"instruction": "q", "chosen": SECRET, "rejected": SECRET}, "record 1, chosen"),
    ({"instruction": "q", "output": SECRET, "kto_tag": True}, "record 1, label"),
    ({"instruction": "q", "output": SECRET, "images": ["x.png"]}, "record 1, images"),
    (SECRET, "record 1"),
    ([SECRET], "record 1"),
]
BAD_SHAREGPT = [
    ({"conversations": SECRET}, "record 1, conversations"),
    ({"conversations": []}, "record 1, conversations"),
    ({"conversations": [SECRET]}, "record 1, conversations[0]"),
    ({"conversations": [{"from": SECRET, "value": "x"}]}, "record 1, conversations[0].from"),
    ({"conversations": [{"from": "gpt", "value": SECRET}]}, "record 1, conversations[0].role"),
    ({"conversations": [{"from": "human", "value": SECRET}]}, "record 1, conversations"),
    (
        {"conversations": [{"from": "human", "value": {"a": SECRET}}]},
        "record 1, conversations[0].value",
    ),
    (
        {
            "conversations": [
                {"from": "human", "value": "q"},
                {"from": "function_call", "value": SECRET},
            ]
        },
        "record 1, conversations[1].value",
    ),
    ({"messages": [], "conversations": []}, "record 1, conversations"),
    ({"messages": [{"role": "user", "content": SECRET}], "tools": SECRET}, "record 1, tools"),
]


@pytest.mark.parametrize(
    ("format", "row", "where"),
    [("alpaca", *case) for case in BAD_ALPACA] + [("sharegpt", *case) for case in BAD_SHAREGPT],
)
def test_a_bad_record_is_told_by_number_and_field_and_never_by_content(
    tmp_path, format, row, where
):
    path = write(tmp_path, "bad.json", json.dumps([row]))
    (problem,) = problems(path, format)
    assert problem.where == where and problem.reason
    assert SECRET not in json.dumps(problem.to_dict())


def test_a_bad_record_does_not_stop_the_others(tmp_path):
    row = json.dumps(as_alpaca([("q", "a")]))
    lines = [row, '{"instruction": "q", ', row, "{'a': 1}", "", row, '{"output": "\ud800"}']
    raw = "\n".join(lines).encode("utf-8", "surrogatepass")
    read = list(read_records(write(tmp_path, "mixed.jsonl", raw), "alpaca"))
    assert [entry.number for entry in read if entry.record] == [1, 3, 5]
    assert [entry.problem.where for entry in read if entry.problem] == [
        "record 2",
        "record 4",
        "record 6",
    ]


@pytest.mark.parametrize(
    ("row", "where"),
    [
        ('{"instruction": "q", "output": "\\ud800"}', "record 1, output"),
        ('{"instruction": "q", "output": "a", "output": "b"}', "record 1"),
        ('{"instruction": "q", "output": ' + "[" * 100_000 + "]" * 100_000 + "}", "record 1"),
        ('{"instruction": "q", "output": ' + "9" * 5_000 + "}", "record 1"),
        ('{"instruction": "q", "output": NaN}', "record 1, output"),
    ],
)
def test_values_that_have_no_portable_form_are_record_errors(tmp_path, row, where):
    (problem,) = problems(write(tmp_path, "odd.json", f"[{row}]"), "alpaca")
    assert problem.where == where


def test_a_number_beyond_the_limit_names_its_field(tmp_path):
    row = as_sharegpt([("q", "a")]) | {"tools": [{"name": "t", "limit": 2**60}]}
    (problem,) = problems(write(tmp_path, "n.json", json.dumps([row])), "sharegpt")
    assert problem.where == "record 1, tools[0].limit" and "2^53-1" in problem.reason


def test_a_file_in_another_format_is_told_for_each_record(tmp_path):
    path = write(tmp_path, "s.json", json.dumps([as_sharegpt([("q", "a")])]))
    (problem,) = problems(path, "alpaca")
    assert problem.where == "record 1, instruction"


def test_detection_looks_past_a_broken_first_record(tmp_path):
    row = json.dumps(as_alpaca([("q", "a")]))
    path = write(tmp_path, "first", f"{{broken\n{row}\n")
    assert detect_format(path, "first.jsonl") == "alpaca"
    with pytest.raises(InvalidInputError):
        detect_format(write(tmp_path, "all.json", "{broken"))
