"""Files made to hurt: each ends in a clear error of ours, quickly, and leaves nothing."""

import io
import json
import struct
import tempfile
import zipfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adaptery.errors import AdapteryError, InvalidInputError, TooLargeError
from adaptery.formats import Mapping, read_records, suggest
from adaptery.formats.limits import MEMBERS_LIMIT, RECORD_LIMIT_BYTES, UNPACKED_LIMIT_BYTES
from support.examples import examples

ROW = '{"prompt": "q", "completion": "a"}\n'
SECRET = "the patient is Jane Roe"


def write(folder, name, content):
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def prompts(container, **more):
    columns = {"prompt": "prompt", "completion": "completion"}
    values = {"format": "prompt", "container": container, "columns": columns, **more}
    return Mapping.model_validate(values)


def problems(path, mapping):
    return [entry.problem for entry in read_records(path, mapping) if entry.problem]


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory, monkeypatch):
    """Give each test a folder for temporary files, and see that it is empty at the end."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


# -- archives ---------------------------------------------------------------------------------


def pack(path, *members, **options):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for member, content in members:
            archive.writestr(member, content)
    return path


def named(name, *, mode=0o100644, **changes):
    member = zipfile.ZipInfo(name)
    member.external_attr = mode << 16
    member.compress_type = zipfile.ZIP_DEFLATED
    for key, value in changes.items():
        setattr(member, key, value)
    return member


def encrypted(path):
    pack(path, ("a.jsonl", ROW))
    data = bytearray(path.read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + offset] |= 1
    path.write_bytes(bytes(data))


ARCHIVES = {
    "link": (lambda p: pack(p, (named("a.jsonl", mode=0o120777), "/etc/passwd")), "link"),
    "device": (lambda p: pack(p, (named("a.jsonl", mode=0o020666), "")), "link or a device"),
    "absolute": (lambda p: pack(p, ("/etc/a.jsonl", ROW)), "leads out"),
    "above": (lambda p: pack(p, ("../../a.jsonl", ROW)), "leads out"),
    "drive": (lambda p: pack(p, ("C:/a.jsonl", ROW)), "leads out"),
    "backslash": (lambda p: pack(p, ("..\\a.jsonl", ROW)), "leads out"),
    "control": (lambda p: pack(p, ("a\nb.jsonl", ROW)), "control characters"),
    "nested": (lambda p: pack(p, ("inner.zip", b"PK\x05\x06" + bytes(18))), "archive itself"),
    "encrypted": (encrypted, "encrypted"),
    "bomb": (lambda p: pack(p, ("a.jsonl", b"[" * 20_000_000)), "times its packed size"),
    "many": (
        lambda p: pack(p, *((f"{i}.jsonl", "") for i in range(MEMBERS_LIMIT + 1))),
        "more than",
    ),
    "nothing": (lambda p: pack(p), "no file that can be read"),
    "other things": (lambda p: pack(p, ("a.png", b"x")), "no file that can be read"),
    "rubbish": (lambda p: p.write_bytes(b"PK\x03\x04" + bytes(100)), "damaged"),
    "lzma": (
        lambda p: pack(p, (named("a.jsonl", compress_type=zipfile.ZIP_LZMA), ROW)),
        "method that is not offered",
    ),
}


@pytest.mark.parametrize("name", ARCHIVES)
def test_an_archive_made_to_hurt_is_refused(tmp_path, name):
    make, words = ARCHIVES[name]
    path = tmp_path / "a.zip"
    make(path)
    mapping = Mapping(format="prompt", container="zip", parts=(prompts("jsonl", member="a.jsonl"),))
    for act in (lambda: suggest(path), lambda: list(read_records(path, mapping))):
        with pytest.raises(AdapteryError) as caught:
            act()
    with pytest.raises(AdapteryError, match=words) as caught:
        suggest(path)
    assert caught.value.status in (413, 422)
    assert list(tmp_path.iterdir()) == [path]


def test_a_member_twice_is_refused(tmp_path):
    with pytest.warns(UserWarning, match="Duplicate"):
        path = pack(tmp_path / "a.zip", ("a.jsonl", ROW), ("a.jsonl", ROW))
    with pytest.raises(InvalidInputError, match="twice"):
        suggest(path)


def test_sizes_that_lie_end_the_reading(tmp_path):
    path = pack(tmp_path / "a.zip", ("a.jsonl", ROW * 1000))
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = struct.pack("<I", 10)  # unpacks to ten bytes, it says
    path.write_bytes(bytes(data))
    mapping = prompts("jsonl", member="a.jsonl")
    with pytest.raises(InvalidInputError, match="damaged"):
        list(read_records(path, mapping))


def test_sizes_beyond_the_limit_are_refused_before_unpacking(tmp_path):
    path = pack(tmp_path / "a.zip", *((f"{i}.jsonl", ROW * 1000) for i in range(2)))
    data = bytearray(path.read_bytes())
    at = -1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 20 : at + 28] = struct.pack("<II", 2**31, UNPACKED_LIMIT_BYTES // 2 + 1)
    path.write_bytes(bytes(data))
    with pytest.raises(TooLargeError, match="unpack to more"):
        suggest(path)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(60),
    deadline=None,
)
@given(st.data())
def test_a_damaged_archive_is_an_error_of_ours(tmp_path, data):
    raw = bytearray(pack(tmp_path / "a.zip", ("a.jsonl", ROW * 20), ("b.csv", "a,b")).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = write(tmp_path, "b.zip", bytes(raw[: data.draw(st.integers(1, len(raw)))]))
    read_or_refuse(path)


def read_or_refuse(path):
    """Read a file by its suggestion; only errors of ours may come, and none quotes the file."""
    try:
        suggestion = suggest(path)
        if suggestion.mapping is not None:
            for entry in read_records(path, suggestion.mapping):
                assert entry.record is not None or SECRET not in str(entry.problem)
    except AdapteryError as error:
        assert error.status in (413, 422) and SECRET not in str(error)


# -- anything at all --------------------------------------------------------------------------

pieces = st.lists(
    st.one_of(
        st.sampled_from(
            [
                *(b'{"prompt": "', b'", "completion": "', b'"}\n', b"prompt,completion\n", b'"'),
                *(
                    b"[",
                    b"]",
                    b"{",
                    b"}",
                    b",",
                    b"\n",
                    b"\r",
                    b"\t",
                    b"\x00",
                    b"\xff\xfe",
                    b"\xef\xbb\xbf",
                ),
                *(
                    b"NaN",
                    b"\\ud800",
                    b"PAR1",
                    b"ARROW1\x00\x00",
                    b"PK\x03\x04",
                    b"\xff\xff\xff\xff",
                ),
                SECRET.encode(),
            ]
        ),
        st.binary(max_size=12),
    ),
    max_size=25,
).map(b"".join)


@pytest.mark.parametrize(
    "name", ["x.json", "x.jsonl", "x.csv", "x.tsv", "x.txt", "x.parquet", "x.arrow", "x.zip", "x"]
)
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(30),
    deadline=None,
)
@given(content=pieces)
def test_any_bytes_are_read_or_refused(tmp_path, name, content):
    read_or_refuse(write(tmp_path, name, content))


@pytest.mark.parametrize("container", ["parquet", "arrow"])
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    max_examples=examples(40),
    deadline=None,
)
@given(data=st.data())
def test_a_damaged_file_of_columns_is_read_or_refused(tmp_path, container, data):
    pytest.importorskip("pyarrow")
    from adaptery.formats import write_records
    from adaptery.records import Record

    path = tmp_path / f"good.{container}"
    if not path.exists():
        write_records([Record.of_text("text")] * 30, path, "text", container)
    raw = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    read_or_refuse(write(tmp_path, f"bad.{container}", bytes(raw)))


# -- text -------------------------------------------------------------------------------------


class Endless(io.RawIOBase):
    """A file whose first line never ends; counts what is taken of it."""

    taken = 0

    def readable(self):
        return True

    def readinto(self, buffer):
        buffer[:] = b"x" * len(buffer)
        self.taken += len(buffer)
        return len(buffer)


@pytest.mark.parametrize("container", ["json", "jsonl", "csv", "txt"])
def test_a_line_without_end_is_left_after_one_record(container):
    from adaptery.formats.containers import Shape, raw_rows
    from adaptery.formats.sources import Source
    from adaptery.formats.texts import paragraphs_of

    endless = Endless()
    start = {"json": b'[{"a": "', "jsonl": b'{"a": "', "csv": b'a,b\n"'}.get(container, b"")

    class Begun(io.RawIOBase):
        sent = False

        def readable(self):
            return True

        def readinto(self, buffer):
            if start and not self.sent:
                self.sent = True
                buffer[: len(start)] = start
                return len(start)
            return endless.readinto(buffer)

    source = Source("x", lambda: io.BufferedReader(Begun()))
    with pytest.raises(TooLargeError):
        if container == "txt":
            next(paragraphs_of(source.open()))
        else:
            next(raw_rows(source, Shape(container)))
    assert endless.taken < 3 * RECORD_LIMIT_BYTES


def test_deep_json_costs_its_record(tmp_path):
    deep = '{"prompt": "q", "completion": ' + "[" * 200_000 + "]" * 200_000 + "}\n"
    (problem,) = problems(write(tmp_path, "d.jsonl", ROW + deep + ROW), prompts("jsonl"))
    assert problem.where == "record 2" and "deep" in problem.reason


def test_deep_json_in_a_cell_costs_its_record(tmp_path):
    mapping = Mapping(format="openai", container="csv", columns={"messages": "messages"})
    path = write(tmp_path, "d.csv", "messages\n" + "[" * 200_000 + "\n")
    (problem,) = problems(path, mapping)
    assert problem.where == "record 1 (line 2), messages"


@pytest.mark.parametrize(
    ("container", "content", "where"),
    [
        ("jsonl", '{"prompt": "q", "prompt": "r", "completion": "a"}', "record 1"),
        ("jsonl", '{"prompt": "q", "completion": NaN}', "record 1, completion"),
        ("jsonl", '{"prompt": "q", "completion": "a\\u0000b"}', "record 1, completion"),
        ("jsonl", b'{"prompt": "caf\xe9", "completion": "a"}', "record 1"),
        (
            "csv",
            "prompt,completion\n" + "q,a\n" * 3000 + "q\0,a",
            "record 3001 (line 3002), prompt",
        ),
        ("csv", "prompt,completion\nq,a\nq,a,b", "record 2 (line 3)"),
        ("csv", 'prompt,completion\n"q\nr",a\n"q"x,a', "record 2 (line 4)"),
        ("csv", 'prompt,completion\nq,"cut off', "record 1 (line 2)"),
        ("csv", b"prompt,completion\nq,caf\xe9", "record 1 (line 2), completion"),
        ("tsv", "prompt\tcompletion\nq", "record 1 (line 2)"),
    ],
)
def test_a_bad_row_is_told_by_its_line(tmp_path, container, content, where):
    (problem,) = problems(write(tmp_path, f"x.{container}", content), prompts(container))
    assert problem.where == where and problem.reason and problem.remedy


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,a\n1,2\n", "twice"),
        (",".join(map(str, range(1_200))) + "\n", "columns"),
        ('"a"b,c\n1,2\n', "no header"),
        ("prompt,completion\n", "no records"),
    ],
)
def test_a_table_that_is_none_is_refused(tmp_path, content, words):
    with pytest.raises(AdapteryError, match=words):
        list(read_records(write(tmp_path, "x.csv", content), prompts("csv")))


def test_mixed_encodings_are_told_by_record(tmp_path):
    rows = '{"prompt": "é", "completion": "a"}\n'
    mixed = rows.encode() + rows.encode("latin-1") + rows.encode()
    path = write(tmp_path, "m.jsonl", mixed)
    suggestion = suggest(path)
    assert not suggestion.confident and "mixes encodings" in suggestion.why
    (problem,) = problems(path, suggestion.mapping)
    assert problem.where == "record 2" and "UTF-8" in problem.reason


def test_names_of_columns_that_are_content_are_not_shown(tmp_path):
    path = write(tmp_path, "x.csv", f"prompt,{SECRET}: born 1970\n=1,x\n")
    mapping = prompts("csv").model_copy(
        update={"columns": {"prompt": "prompt", "completion": f"{SECRET}: born 1970"}}
    )
    path.write_text(path.read_text().replace(",x", ","))
    (problem,) = problems(path, mapping)
    assert SECRET not in str(problem) and problem.where == "record 1 (line 2), (a column)"


@pytest.mark.parametrize(
    "values",
    [
        {"format": "prompt", "container": "csv", "encoding": "unicode_escape"},
        {"format": "prompt", "container": "csv", "columns": {"secret": "x"}},
        {"format": "prompt", "container": "csv", "columns": {"text": "x"}},
        {"format": "prompt", "container": "csv", "chunks": {"by": "tokens"}},
        {"format": "text", "container": "txt", "chunks": {"size": 2, "overlap": 2}},
        {"format": "prompt", "container": "csv", "parts": [{"format": "text", "container": "txt"}]},
        {"format": "text", "container": "zip", "parts": [{"format": "text", "container": "txt"}]},
        {
            "format": "text",
            "container": "zip",
            "parts": [{"format": "text", "container": "zip", "member": "a"}],
        },
    ],
)
def test_a_mapping_that_means_nothing_is_refused(values):
    with pytest.raises(ValueError):
        Mapping.model_validate_json(json.dumps(values))


# -- columns ----------------------------------------------------------------------------------


def test_a_packed_arrow_batch_that_would_fill_the_memory_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    size = 300 * 1024 * 1024
    column = pa.array([" " * 1024]).take(pa.array([0] * (size // 1024), pa.int32()))
    batch = pa.record_batch({"text": column})
    path = tmp_path / "bomb.arrow"
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with (
        pa.OSFile(str(path), "wb") as sink,
        pa.ipc.new_file(sink, batch.schema, options=options) as w,
    ):
        w.write_batch(batch)
    del column, batch
    assert path.stat().st_size < 1024 * 1024
    before = pa.total_allocated_bytes()
    with pytest.raises(TooLargeError, match="Arrow"):
        suggest(path)
    assert pa.total_allocated_bytes() - before < 1024 * 1024


def test_columns_that_are_not_read_may_be_large(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "pictures.parquet"
    picture = [bytes(2 * RECORD_LIMIT_BYTES)]
    pq.write_table(pa.table({"prompt": ["q"], "completion": ["a"], "picture": picture}), path)
    suggestion = suggest(path)
    assert suggestion.confident and problems(path, suggestion.mapping) == []


def test_a_row_larger_than_a_record_is_refused(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = tmp_path / "large.parquet"
    pq.write_table(pa.table({"text": ["x" * (RECORD_LIMIT_BYTES + 1)]}), path)
    mapping = Mapping(format="text", container="parquet", columns={"text": "text"})
    with pytest.raises(TooLargeError):
        list(read_records(path, mapping))
