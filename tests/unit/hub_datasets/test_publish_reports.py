"""The report of a publish: exact counts, and no more of them than a page shows."""

import statistics

from adaptery_hub.publish_reports import FILES_LISTED, Tally, make_report
from hypothesis import given
from hypothesis import strategies as st

from adaptery.times import now
from adaptery_hub.drafts import DraftRecord


def tally_of(lengths: list[int]) -> Tally:
    tally = Tally()
    for length in lengths:
        tally.add(DraftRecord(1, "", "text", "", None, now(), length, now(), False))
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
