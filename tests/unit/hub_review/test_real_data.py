"""What reviews find in public data sets is what is known to be in them."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator

import pytest

from adaptery.formats import read_records, suggest
from adaptery_hub.review import profile
from adaptery_hub.review.places import phrase_of
from adaptery_hub.review.recognisers import Recognisers
from support.real_data import real_data

from .conftest import Desk


def records_of(name: str) -> list[dict[str, object]]:
    path = real_data(name)
    read = read_records(path, suggest(path).mapping)
    return [entry.record.to_dict() for entry in read if entry.record is not None]


def test_short_notes_and_repeated_dialogues(desk: Desk) -> None:
    desk.fill(records_of("mts-dialog/MTS-Dialog-TrainingSet.csv"))
    desk.analyse("exact", "quality", "language")
    assert desk.rules("exact") == {"record": 1, "prompt": 1}
    assert desk.rules("quality")["short"] == 116
    assert set(desk.rules("language")) <= {"la"}, "a note of Latin words"


def test_repeated_instructions(desk: Desk) -> None:
    desk.fill(records_of("llamafactory-demo/alpaca_en_demo.json"))
    desk.analyse("exact", "near", "quality")
    with desk.open() as draft:
        groups = draft.findings.open("exact", rule="record")
        assert sum(group.records - 1 for group in groups) == 14
        assert not draft.findings.open("exact", rule="prompt")
    assert desk.decide("exact", "drop").changed == 14
    assert len(desk.answers()) == 985


def test_placeholders(desk: Desk) -> None:
    desk.fill(records_of("llamafactory-demo/identity.json"))
    desk.analyse("quality")
    assert desk.rules("quality")["placeholder"] == 85


def test_calls_of_tools_are_no_empty_answers(desk: Desk) -> None:
    records = records_of("llamafactory-demo/glaive_toolcall_en_demo.json")
    found = profile(records)
    calls = sum(
        message.get("tool_calls") is not None
        for record in records
        for message in record["messages"]  # type: ignore[attr-defined]
    )
    assert (calls, found.roles["tool"]) == (211, 211)
    assert found.flags["empty"] == 0


def test_gaps_in_an_old_print(desk: Desk) -> None:
    desk.fill(records_of("moseley-coffee/moseley_treatise_concerning_coffee.txt"))
    desk.analyse("quality")
    assert desk.rules("quality")["illegible"] == 20


def test_what_a_model_says_of_itself(desk: Desk) -> None:
    desk.fill(records_of("fastchat-sharegpt/dummy_conversation.json"))
    desk.analyse("phrases", phrase_words=3)
    with desk.open() as draft:
        counts = {finding.records for finding in draft.findings.open("phrases")}
        said = [found for f in draft.findings.open("phrases") if (found := phrase_of(draft, f))]
    vicuna = [" ".join(words) for words, _, _ in said if "vicuna" in words]
    assert any(phrase.startswith("my name is vicuna") for phrase in vicuna)
    assert len(vicuna) >= 6, "in as many words, twelve times each"
    assert 424 in counts, "by researchers from Large Model Systems Organization (LMSYS)"
    assert desk.decide("phrases", "strip").changed > 400


def encounters(part: str) -> Iterator[tuple[dict[str, str], str]]:
    with real_data(f"aci-bench/{part}.csv").open(newline="", encoding="utf-8") as stream:
        texts = {row["encounter_id"]: row for row in csv.DictReader(stream)}
    with real_data(f"aci-bench/{part}_metadata.csv").open(newline="", encoding="utf-8") as stream:
        for patient in csv.DictReader(stream):
            row = texts[patient["encounter_id"]]
            yield patient, row["dialogue"]
            yield patient, row["note"]


@pytest.mark.parametrize("part", ["train", "valid"])
def test_names_and_ages_of_patients_are_found(part: str) -> None:
    recognisers = Recognisers()
    found, missed = {"name": 0, "age": 0}, {"name": 0, "age": 0}
    for patient, text in encounters(part):
        hits = recognisers.find(text)
        names = filter(None, (patient[f"patient_{n}"].strip() for n in ("firstname", "familyname")))
        wanted = [("name", rf"\b{re.escape(name)}\b") for name in names]
        wanted.append(("age", rf"\b{patient['patient_age']}(?=[ -]+years?[ -]+old)"))
        for kind, pattern in wanted:
            for match in re.finditer(pattern, text, re.IGNORECASE):
                hit = any(h.kind == kind and h.start <= match.start() < h.end for h in hits)
                (found if hit else missed)[kind] += 1
    assert found["name"] > 50 and found["age"] > 15
    assert found["name"] / (found["name"] + missed["name"]) >= 0.95
    assert missed["age"] == 0


def test_speakers_out_of_order(desk: Desk) -> None:
    desk.fill(records_of("aci-bench/train.csv"))
    desk.analyse("quality")
    assert desk.rules("quality")["roles"] == 24
