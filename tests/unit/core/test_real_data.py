"""Public data sets, whole: suggested, read, written and read again."""

import csv
import json
from collections import Counter

import pytest

from adaptery.formats import read_records, suggest, write_records
from support.real_data import real_data

SETS = [
    # file, certain, format, columns, records, different ones, columns not used
    ("mts-dialog/MTS-Dialog-TrainingSet.csv", False, "prompt", 1201, 1200, "ID section_header"),
    ("mts-dialog/MTS-Dialog-ValidationSet.csv", False, "prompt", 100, 100, "ID section_header"),
    (
        "mts-dialog/MTS-Dialog-TestSet-1-MEDIQA-Chat-2023.csv",
        *(False, "prompt", 200, 200, "ID section_header"),
    ),
    ("aci-bench/train.csv", False, "prompt", 67, 67, "dataset encounter_id"),
    ("aci-bench/valid.csv", False, "prompt", 20, 20, "dataset encounter_id"),
    ("aci-bench/valid_subjective.json", False, "prompt", 20, 20, "file"),
    ("aci-bench/valid_objective_exam.json", False, "prompt", 20, 20, "file"),
    ("aci-bench/valid_objective_results.json", False, "prompt", 20, 20, "file"),
    ("aci-bench/valid_assessment_and_plan.json", False, "prompt", 20, 20, "file"),
    ("llamafactory-demo/alpaca_en_demo.json", True, "alpaca", 999, 985, ""),
    ("llamafactory-demo/identity.json", True, "alpaca", 91, 91, ""),
    ("llamafactory-demo/glaive_toolcall_en_demo.json", True, "sharegpt", 300, 265, ""),
    ("llamafactory-demo/dpo_en_demo.json", True, "preference", 300, 295, ""),
    ("llamafactory-demo/kto_en_demo.json", True, "kto", 300, 300, ""),
    ("llamafactory-demo/c4_demo.jsonl", True, "text", 300, 300, ""),
    ("fastchat-sharegpt/dummy_conversation.json", True, "sharegpt", 500, 500, "id"),
    ("moseley-coffee/moseley_treatise_concerning_coffee.txt", True, "text", 139, 139, ""),
]


def records_of(path, mapping):
    read = list(read_records(path, mapping))
    assert [entry.problem for entry in read if entry.problem] == []
    ignored = {name for entry in read for name in entry.ignored}
    return [entry.record for entry in read], ignored


@pytest.mark.parametrize(("name", "certain", "format", "count", "unique", "unused"), SETS)
def test_a_public_set_is_suggested_and_read_whole(name, certain, format, count, unique, unused):
    path = real_data(name)
    suggestion = suggest(path)
    assert (suggestion.confident, suggestion.mapping.format) == (certain, format)
    records, ignored = records_of(path, suggestion.mapping)
    assert (len(records), len({r.record_id() for r in records})) == (count, unique)
    assert ignored == set(unused.split())


@pytest.mark.parametrize(("name", "certain", "format", "count", "unique", "unused"), SETS)
@pytest.mark.parametrize("container", ["jsonl", "csv", "parquet"])
@pytest.mark.slow
def test_a_public_set_is_written_and_read_again(
    tmp_path, name, certain, format, count, unique, unused, container
):
    path = real_data(name)
    records, _ = records_of(path, suggest(path).mapping)
    written = tmp_path / f"a.{container}"
    assert write_records(records, written, format, container).records == count
    assert records_of(written, suggest(written).mapping)[0] == records


@pytest.mark.slow
@pytest.mark.parametrize(("name", "certain", "format", "count", "unique", "unused"), SETS)
def test_a_public_set_loads_with_datasets(tmp_path, name, certain, format, count, unique, unused):
    datasets = pytest.importorskip("datasets")
    path = real_data(name)
    records, _ = records_of(path, suggest(path).mapping)
    write_records(records, tmp_path / "set", format, "folder")
    loaded = datasets.load_dataset(
        str(tmp_path / "set"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == count


def test_a_dialogue_and_its_note_are_what_the_file_says():
    path = real_data("mts-dialog/MTS-Dialog-TrainingSet.csv")
    suggestion = suggest(path)
    assert suggestion.mapping.columns == {"prompt": "dialogue", "completion": "section_text"}
    instructed = suggestion.mapping.model_copy(
        update={"constants": {"instruction": "Summarise the dialogue."}}
    )
    records, _ = records_of(path, instructed)
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = list(csv.DictReader(stream))
    assert [record.messages[0].content for record in records[:50]] == [
        f"Summarise the dialogue.\n{row['dialogue']}" for row in rows[:50]
    ]
    assert sum(len(record.messages[1].content) < 15 for record in records) == 116


def test_nested_json_is_found_by_its_path():
    path = real_data("aci-bench/valid_subjective.json")
    suggestion = suggest(path)
    assert suggestion.mapping.records == "data"
    assert suggestion.mapping.columns["prompt"] == "src"
    records, _ = records_of(path, suggestion.mapping)
    data = json.loads(path.read_text())["data"]
    assert [record.messages[1].content for record in records] == [row["tgt"] for row in data]


def test_calls_of_tools_are_counted():
    path = real_data("llamafactory-demo/glaive_toolcall_en_demo.json")
    records, _ = records_of(path, suggest(path).mapping)
    roles = Counter(message.role for record in records for message in record.messages)
    calls = sum(message.tool_calls is not None for record in records for message in record.messages)
    assert calls == roles["tool"] == 211


def test_a_table_without_questions_is_left_to_the_user():
    suggestion = suggest(real_data("aci-bench/train_metadata.csv"))
    assert suggestion.mapping is None and "patient_age" in {c.name for c in suggestion.columns}


def test_a_folder_of_llama_factory_is_read_as_it_describes_itself():
    folder = real_data("llamafactory-demo")
    suggestion = suggest(folder)
    assert suggestion.confident and "98 datasets are not in it" in suggestion.why
    records, _ = records_of(folder, suggestion.mapping)
    kinds = Counter(record.kind for record in records)
    assert kinds == {"chat": 1390, "preference": 300, "kto": 300, "text": 300}
