"""Personal data is found where it stands; what only looks like it is not; in linear time."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import pytest

from adaptery.errors import InvalidInputError
from adaptery_hub.review.names import read_names
from adaptery_hub.review.quality import flags_of
from adaptery_hub.review.recognisers import Recognisers

MEBIBYTE = 1024 * 1024


def found(text: str) -> list[tuple[str, str]]:
    return [(hit.kind, text[hit.start : hit.end]) for hit in Recognisers().find(text)]


@pytest.mark.parametrize(
    ("text", "kind", "match"),
    [
        ("write to jo.doe+x@mail.example.org now", "email", "jo.doe+x@mail.example.org"),
        ("<a_b@example.co.uk>", "email", "a_b@example.co.uk"),
        ("call (415) 555-2671 today", "phone", "(415) 555-2671"),
        ("call +1 415-555-2671.", "phone", "+1 415-555-2671"),
        ("from +49 89 1234567", "phone", "+49 89 1234567"),
        ("my number is 555-0134", "phone", "555-0134"),
        ("SSN: 078-05-1120", "ssn", "078-05-1120"),
        ("social security 078051120", "ssn", "078051120"),
        ("MRN: 00482913", "mrn", "00482913"),
        ("medical record number is R472348 .", "mrn", "R472348"),
        ("seen on 2021-03-09.", "date", "2021-03-09"),
        ("born 5/21/1969,", "date", "5/21/1969"),
        ("on March 3rd, 2005", "date", "March 3rd, 2005"),
        ("the 4th of July", "date", "4th of July"),
        ("a 50-year-old female", "age", "50"),
        ("62 y/o man", "age", "62"),
        ("host 192.168.10.4 is down", "ip", "192.168.10.4"),
        ("at 2001:db8::8a2e:370:7334 now", "ip", "2001:db8::8a2e:370:7334"),
        ("card 4111 1111 1111 1111 expires", "card", "4111 1111 1111 1111"),
        ("5500-0000-0000-0004", "card", "5500-0000-0000-0004"),
        ("Martha Collins presents", "name", "Martha Collins"),
        ("[doctor] hi , martha . how", "name", "martha"),
        ("so for mr . gutierrez , put", "name", "gutierrez"),
        ("Dr. Xanthopoulos agrees", "name", "Xanthopoulos"),
        ("my name is Zbigniew", "name", "Zbigniew"),
        ("Will Smith came", "name", "Will Smith"),
        ("Jane's knee", "name", "Jane"),
        ("Thanks, Sarah. Let me look", "name", "Sarah"),
        ("Dr. J. Smith. Could", "name", "J. Smith"),
    ],
)
def test_found(text: str, kind: str, match: str) -> None:
    assert found(text) == [(kind, match)]


@pytest.mark.parametrize(
    "text",
    [
        "Dr. X asked Dr. Y. Let me look",
        "4111 1111 1111 1112",  # no checksum
        "0000 0000 0000 0000",
        "000-12-3456 and 666-12-3456 and 912-12-3456 and 123-00-1234",  # no such numbers
        "2021-13-45 and 45/45/2021",
        "version 1.2.3.4.5 and 300.1.1.1",
        "will the hope of grace rose in may mark a bill",
        "pi is 3.14159265358979, and 12345678 of them",
        "it weighs 250 kg after 30 years",
        "a ratio of 10:30:45",
        "an @ alone, and a@b",
    ],
)
def test_not_found(text: str) -> None:
    assert found(text) == []


def test_hits_come_in_order_and_apart() -> None:
    text = "John Smith, 50 years old, jsmith@example.org, 415-555-2671, seen 3/4/2021 by Dr. Green"
    hits = Recognisers().find(text)
    assert [hit.kind for hit in hits] == ["name", "age", "email", "phone", "date", "name"]
    assert all(a.end <= b.start for a, b in pairwise(hits))


def test_only_the_kinds_that_are_wanted() -> None:
    assert Recognisers(("email",)).find("Martha, 50 years old") == []


def test_names_of_the_deployment(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("# ours\nQwyzard\nAnn van der Plork\n", encoding="utf-8")
    recognisers = Recognisers(more_names=read_names(path))
    text = "we saw qwyzard and Ann van der Plork's son"
    assert [text[h.start : h.end] for h in recognisers.find(text)] == [
        "qwyzard",
        "Ann van der Plork",
    ]


def test_a_file_of_names_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "names"
    path.write_text("this is a whole sentence of words")
    with pytest.raises(InvalidInputError, match="more than"):
        read_names(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidInputError, match="UTF-8"):
        read_names(path)


@pytest.mark.parametrize(
    "piece",
    [
        "a", "1", "@", "a@", "a.", "1.", "1-", "1 ", "(", "+1 ", "::", "f:", "a@a.", "1/1/", "[a",
        "{{", "I am sorry ", "I am unable ", "[..", "mrn ", "a'", "Jan ", "May 1 ", "Dr. ", "hi ",
        "john ", "John ", "name is ", "[a]\n", "A:\n", "\u00c3", "phone ", "aged ", "as an AI ",
        "\u4e2d", "[your ", "<your ", "medical record ", "patient chart number ",
    ],
)  # fmt: skip
def test_hostile_texts_take_linear_time(piece: str) -> None:
    text = piece * (MEBIBYTE // 4 // len(piece))
    record = {"kind": "text", "text": text}
    recognisers = Recognisers()
    begin = time.process_time()
    recognisers.find(text)
    flags_of(record)
    assert time.process_time() - begin < 5, "a quarter of a MiB; backtracking would take minutes"
