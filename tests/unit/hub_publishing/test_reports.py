"""The report of a publish: exact counts, and no more of them than a page shows."""

import statistics

from hypothesis import given
from hypothesis import strategies as st

from adaptery_hub.publishing.reports import FILES_LISTED, Tally, make_report, signed_part


def tally_of(lengths: list[int]) -> Tally:
    tally = Tally()
    for length in lengths:
        tally.add("text", length, None, None)
    return tally


@given(st.lists(st.integers(1, 50), min_size=1))
def test_lengths_are_counted_as_if_all_were_kept(lengths: list[int]) -> None:
    counts = tally_of(lengths).characters()
    assert counts.median == statistics.median_low(lengths)
    assert (counts.min, counts.max, counts.total) == (min(lengths), max(lengths), sum(lengths))


def test_a_report_names_so_many_files() -> None:
    files = [(None, 2), *((f"fi_{i}", 1) for i in range(FILES_LISTED + 1))]
    report = make_report(tally_of([1]), files, {"fi_0": "visits.json"}, edits=0)
    assert [file.name for file in report.files[:3]] == [None, "visits.json", "fi_1"]
    assert (len(report.files), report.files_left_out) == (FILES_LISTED, 2)
    assert report.draft_records == FILES_LISTED + 3


def test_what_is_signed_names_no_file() -> None:
    report = make_report(tally_of([1]), [("fi_0", 1)], {"fi_0": "canary.csv"}, edits=0)
    assert "canary" not in str(signed_part(report, 1))


def test_splits_and_languages_are_counted() -> None:
    tally = Tally()
    for split, language in (("train", "en"), ("train", "en"), ("test", "de"), (None, None)):
        tally.add("text", 1, split, language)
    assert (tally.splits, tally.languages) == ({"test": 1, "train": 2}, {"en": 2, "de": 1})
    assert (tally_of([1]).splits, tally_of([1]).languages) == (None, None)
