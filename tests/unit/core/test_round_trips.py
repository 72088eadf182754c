"""Written and read again: every format in every container gives the records back."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import ConflictError, InvalidInputError, RecordError
from adaptery.formats import (
    convert_kind,
    losses,
    read_records,
    suggest,
    translate,
    write_records,
)
from adaptery.records import Message, Record
from support.examples import examples

CONTAINERS = ["json", "jsonl", "csv", "tsv", "parquet", "arrow", "zip", "folder"]
SUFFIXES = {"folder": ""}

# NUL is refused on reading, so no file of ours needs to carry it.
characters = st.characters(codec="utf-8", exclude_characters="\x00")
spoken = st.one_of(
    st.text(characters, min_size=1, max_size=30),
    st.sampled_from(
        ["=1+1", "'=1", "+a", "-b", "@c", "\tx", "\rx", 'a "b", c', "l\r\nm\rn", "[{}]"]
    ),
).filter(str.strip)
weights = st.none() | st.sampled_from([0.0, 0.25])
names = st.none() | spoken
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(characters, max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2)
    ),
    max_leaves=4,
)
objects = st.dictionaries(st.text("abfunction", max_size=8), values, max_size=3)
tools = st.none() | st.lists(
    objects | st.fixed_dictionaries({"function": objects}), min_size=1, max_size=2
)
calls = st.lists(
    st.fixed_dictionaries({"name": spoken, "arguments": objects}), min_size=1, max_size=2
)


@st.composite
def answers(draw):
    with_calls = draw(st.booleans())
    return Message(
        "assistant",
        draw(st.just("") | spoken) if with_calls else draw(spoken),
        weight=draw(weights),
        name=draw(names),
        tool_calls=tuple(draw(calls)) if with_calls else None,
    )


@st.composite
def openings(draw):
    messages = [Message("system", draw(spoken), name=draw(names))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(0, 2))):
        messages.append(Message("user", draw(spoken), name=draw(names)))
        messages.append(draw(answers()))
        if messages[-1].tool_calls and draw(st.booleans()):
            messages.append(Message("tool", draw(st.just("") | spoken)))
            messages.append(draw(answers()))
    return [*messages, Message("user", draw(spoken))]


@st.composite
def chats(draw):
    messages = [*draw(openings()), draw(answers())]
    return _checked(Record("chat", tuple(messages), tools=_tuple(draw(tools))))


@st.composite
def plain_chats(draw, turns=3):
    messages = [Message("system", draw(spoken))] if draw(st.booleans()) else []
    for _ in range(draw(st.integers(1, turns))):
        messages += [Message("user", draw(spoken)), Message("assistant", draw(spoken))]
    return _checked(Record("chat", tuple(messages), tools=_tuple(draw(tools))))


@st.composite
def preferences(draw):
    parts = {"chosen": draw(answers()), "rejected": draw(answers())}
    return _checked(
        Record("preference", tuple(draw(openings())), **parts, tools=_tuple(draw(tools)))
    )


@st.composite
def labelled(draw):
    chat = draw(chats())
    return _checked(Record("kto", chat.messages, tools=chat.tools, label=draw(st.booleans())))


def _tuple(value):
    return tuple(value) if value else None


def _checked(record):
    return Record.from_dict(record.to_dict())


RECORDS = {
    "alpaca": plain_chats(),
    "sharegpt": chats(),
    "openai": chats(),
    "prompt": plain_chats(turns=1),
    "preference": preferences(),
    "kto": labelled(),
    "text": spoken.map(Record.of_text),
}


def read_back(path, format):
    suggestion = suggest(path)
    assert suggestion.mapping is not None and suggestion.mapping.format == format
    read = list(read_records(path, suggestion.mapping))
    assert [entry.problem for entry in read if entry.problem] == []
    return [entry.record for entry in read], suggestion


def fresh(folder, container):
    place = folder / f"{len(list(folder.iterdir()))}"
    place.mkdir()
    return place / f"records{SUFFIXES.get(container, '.' + container)}"


def check_round_trip(folder, container, format, records):
    path = fresh(folder, container)
    report = write_records(records, path, format, container)
    found, _ = read_back(path, read_as(format, container))
    assert (report.records, report.dropped, report.refused) == (len(records), {}, [])
    assert [record.record_id() for record in found] == [r.record_id() for r in records]


def read_as(format, container):
    # To LLaMA-Factory, whose file describes the folder, a prompt is an instruction.
    return "alpaca" if (format, container) == ("prompt", "folder") else format


written = st.sampled_from(sorted(RECORDS)).flatmap(
    lambda format: st.tuples(st.just(format), st.lists(RECORDS[format], min_size=1, max_size=3))
)
unhurried = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(10),
    deadline=None,
)


@pytest.mark.parametrize("container", CONTAINERS)
@unhurried
@given(written)
def test_what_is_written_is_read_as_the_same_records(tmp_path, container, written):
    check_round_trip(tmp_path, container, *written)


@pytest.mark.slow
@pytest.mark.parametrize("format", RECORDS)
@pytest.mark.parametrize("container", CONTAINERS)
@settings(unhurried, max_examples=examples(25))
@given(st.data())
def test_every_pair_of_format_and_container_round_trips(tmp_path, container, format, data):
    records = data.draw(st.lists(RECORDS[format], min_size=1, max_size=3))
    check_round_trip(tmp_path, container, format, records)


@pytest.mark.parametrize("format", RECORDS)
@pytest.mark.parametrize("container", CONTAINERS)
def test_what_we_write_is_recognised_without_doubt(tmp_path, container, format):
    path = fresh(tmp_path, container)
    write_records([EXAMPLES[format]] * 3, path, format, container)
    _, suggestion = read_back(path, read_as(format, container))
    assert suggestion.confident


QUESTION, ANSWER = Message("user", "a question?"), Message("assistant", "an answer.")
CHAT = Record("chat", (QUESTION, ANSWER))
PAIR = Record("preference", (QUESTION,), chosen=ANSWER, rejected=Message("assistant", "no"))
EXAMPLES = {
    "alpaca": CHAT,
    "sharegpt": CHAT,
    "openai": CHAT,
    "prompt": CHAT,
    "preference": PAIR,
    "kto": Record("kto", CHAT.messages, label=False),
    "text": Record.of_text("a text"),
}


@settings(unhurried, max_examples=examples(40))
@given(st.lists(spoken.map(Record.of_text), min_size=1, max_size=4))
def test_a_text_file_says_that_it_drops_empty_lines(tmp_path, records):
    path = fresh(tmp_path, "txt")
    report = write_records(records, path, "text", "txt")
    found, _ = read_back(path, "text")
    assert len(found) == len(records)
    if not report.dropped:
        assert found == records


def test_cells_that_spreadsheets_would_run_are_escaped_and_named(tmp_path):
    record = Record("chat", (Message("user", "=HYPERLINK(1)"), Message("assistant", "'=a")))
    path = tmp_path / "a.csv"
    report = write_records([record, CHAT], path, "prompt", "csv")
    lines = path.read_text().splitlines()
    assert lines[0] == "prompt,completion,adaptery_escaped"
    assert lines[1] == "'=HYPERLINK(1),'=a,prompt"
    assert report.escaped_cells == 1
    assert read_back(path, "prompt")[0] == [record, CHAT]


def test_a_file_of_others_keeps_its_apostrophes(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("prompt,completion\n'=1,'+2\n")
    (record,) = read_back(path, "prompt")[0]
    assert [message.content for message in record.messages] == ["'=1", "'+2"]


@pytest.mark.parametrize(
    ("format", "dropped"),
    [
        ("alpaca", ("weights of messages", "names of messages")),
        ("prompt", ("weights of messages", "names of messages")),
        ("sharegpt", ()),
        ("openai", ()),
    ],
)
def test_a_translation_names_what_it_drops(format, dropped):
    record = Record("chat", (QUESTION, Message("assistant", "a", weight=0.5, name="x")))
    assert translate(record, format).dropped == dropped


CALL = Message("assistant", "", tool_calls=({"name": "f", "arguments": {}},))


@pytest.mark.parametrize(
    ("record", "format", "where"),
    [
        (Record("chat", (QUESTION, CALL)), "alpaca", "messages[1]"),
        (Record("chat", (QUESTION, CALL)), "prompt", "messages[1]"),
        (Record("chat", (QUESTION, ANSWER, QUESTION, ANSWER)), "prompt", "messages"),
        (PAIR, "openai", "kind"),
        (CHAT, "kto", "kind"),
        (CHAT, "text", "kind"),
    ],
)
def test_what_a_format_cannot_hold_is_refused_with_the_reason(tmp_path, record, format, where):
    with pytest.raises(RecordError) as caught:
        translate(record, format)
    assert caught.value.errors[0].where == where and caught.value.errors[0].remedy
    report = write_records([record, EXAMPLES[format]], tmp_path / "x.jsonl", format, "jsonl")
    assert (report.records, report.refused_count) == (1, 1)
    assert report.refused[0].where == f"record 1, {where}"


@pytest.mark.parametrize("container", [*CONTAINERS, "txt"])
def test_nothing_is_left_where_no_record_can_be_written(tmp_path, container):
    path = tmp_path / f"x{SUFFIXES.get(container, '.' + container)}"
    with pytest.raises(InvalidInputError):
        write_records([PAIR], path, "text", container)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_never_written_over(tmp_path):
    write_records([CHAT], tmp_path / "set", "openai", "folder")
    with pytest.raises(ConflictError):
        write_records([CHAT], tmp_path / "set", "openai", "folder")


@pytest.mark.parametrize(
    ("record", "kind", "dropped"),
    [
        (CHAT, "chat", ()),
        (PAIR, "chat", ("rejected answers",)),
        (PAIR, "kto", ("rejected answers",)),
        (Record("kto", CHAT.messages, label=True), "chat", ("labels",)),
        (CHAT, "text", ("roles",)),
        (PAIR, "text", ("roles", "rejected answers")),
    ],
)
def test_a_kind_becomes_another_and_says_what_that_leaves_out(record, kind, dropped):
    conversion = convert_kind(record, kind)
    assert conversion.record.kind == kind and conversion.dropped == dropped
    told = losses(record.kind, kind)
    assert told is not None and set(dropped) <= set(told)
    assert Record.from_dict(conversion.record.to_dict()) == conversion.record


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (CHAT, "kto"),
        (CHAT, "preference"),
        (Record.of_text("x"), "chat"),
        (Record("kto", CHAT.messages, label=False), "chat"),
    ],
)
def test_nothing_is_made_up_for_a_kind(record, kind):
    with pytest.raises(RecordError):
        convert_kind(record, kind)
    assert losses(record.kind, kind) is None or record.label is False


@pytest.mark.slow
@pytest.mark.parametrize("format", RECORDS)
def test_the_folder_loads_with_datasets(tmp_path, format, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "set"
    write_records([EXAMPLES[format]] * 5, path, format, "folder")
    loaded = datasets.load_dataset(str(path), split="train", cache_dir=str(tmp_path / "cache"))
    assert len(loaded) == 5
    row = translate(EXAMPLES[format], format).row
    for name, value in row.items():
        expected = json.loads(json.dumps(value))
        if isinstance(expected, str | bool):
            assert loaded[0][name] == expected
