"""An analysis fills queues with what is there, and keeps what people decided."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adaptery.errors import ConflictError, InvalidInputError
from adaptery.records import Record
from adaptery_hub.drafts import RecordQuery, flag_names
from adaptery_hub.review import open_findings
from adaptery_hub.review.quality import holds_placeholder
from adaptery_hub.review.recognisers import REPLACEMENTS
from support.planted import plant

from .conftest import ME, OTHER, Desk, chat

LONG = "The patient slept well, ate well and went home in the afternoon of the same day."


def test_exact_duplicates_and_equal_prompts(desk: Desk) -> None:
    desk.fill([chat("a", LONG), chat("a", LONG), chat("a", LONG + " Really."), chat("b", LONG)])
    assert desk.analyse("exact") == {"exact": 2}
    assert desk.rules("exact") == {"record": 1, "prompt": 1}


def test_dropping_exact_duplicates_keeps_the_first_and_can_be_undone(desk: Desk) -> None:
    desk.fill([chat("a", LONG)] * 3 + [chat("b", LONG)])
    desk.analyse("exact")
    done = desk.decide("exact", "drop")
    assert (done.decided, done.changed, done.skipped) == (1, 2, 0)
    assert list(desk.answers()) == [1, 4]
    assert desk.rules("exact") == {}
    assert desk.undo("exact").changed == 2
    assert list(desk.answers()) == [1, 2, 3, 4]
    assert desk.rules("exact") == {"record": 1}, "what was undone is open again"


def test_others_are_kept_if_they_are_named(desk: Desk) -> None:
    desk.fill([chat("a", LONG)] * 3)
    desk.analyse("exact")
    desk.decide("exact", "drop", keep=frozenset({2}))
    assert list(desk.answers()) == [2]


def test_near_duplicates_are_a_group_of_the_draft(desk: Desk) -> None:
    text = plant(3, share=0).texts
    desk.fill([chat("q", text[0]), chat("q", text[0] + " again"), chat("q", text[1])])
    desk.analyse("near", "exact", part="answer")
    assert desk.rules("near") == {"group": 1}
    with desk.open() as draft:
        assert len(draft.positions(RecordQuery(group=1))) == 2
    desk.decide("near", "drop")
    assert list(desk.answers()) == [1, 3]


def test_a_chain_is_not_dropped_beyond_what_is_like_the_first(desk: Desk) -> None:
    words = plant(1, share=0, seed=5).texts[0].split(" ")
    ends = [" ".join(f"{tail}{i}" for i in range(len(words) // 2)) for tail in ("up", "down")]
    middle = " ".join(words)
    desk.fill(
        [chat("q", f"{middle} {ends[0]}"), chat("q", middle), chat("q", f"{middle} {ends[1]}")]
    )
    desk.analyse("near", part="answer")
    assert desk.rules("near") == {}, "half alike is not near, unless that is asked for"
    desk.analyse("near", part="answer", threshold=0.5)
    with desk.open() as draft:
        (finding,) = draft.findings.open("near")
        least = draft.findings.least_similarity(finding)
        alike = [member.similarity for member in draft.findings.members(finding)]
    assert least == min(value for value in alike if value is not None) < 0.8
    before = desk.answers()
    desk.decide("near", "drop")
    assert set(desk.answers()) < set(before)
    assert 1 in desk.answers()


def test_matches_in_another_dataset(desk: Desk, tmp_path: Path) -> None:
    other = Desk(tmp_path / "others", "ds_other")
    text = plant(2, share=0).texts
    other.fill([chat("q", text[0]), chat("q", text[1])])
    desk.fill([chat("q", text[0]), chat("r", text[1] + " and more"), chat("s", LONG)])
    desk.analyse("exact", "near", against=(("ds_other", other.path),))
    assert desk.rules("exact") == desk.rules("near") == {}, "unseen without the right to see it"
    assert desk.rules("exact", ("ds_other",)) == {"record": 1}
    assert desk.rules("near", ("ds_other",)) == {"between": 1}
    assert desk.decide("near", "drop").decided == 0, "nor decided about"
    assert desk.decide("near", "drop", sources=frozenset({"ds_other"})).decided == 1
    assert list(desk.answers()) == [1, 3]
    other.drafts.close()


def test_phrases_are_counted_and_taken_out(desk: Desk) -> None:
    phrase = "I am a helpful virtual assistant."
    desk.fill([chat(f"q{i}", f"{phrase} Answer {'xyz'[i % 3] * (i + 3)}.") for i in range(6)])
    desk.analyse("phrases")
    assert desk.rules("phrases") == {"phrase": 1}
    done = desk.decide("phrases", "strip")
    assert (done.decided, done.changed) == (1, 6)
    assert desk.answers()[1] == "Answer xxx."
    desk.undo("phrases")
    assert desk.answers()[1].startswith(phrase)


def test_a_record_that_is_nothing_but_the_phrase_stays(desk: Desk) -> None:
    phrase = "I am a helpful virtual assistant"
    desk.fill([chat(f"q{i}", phrase) for i in range(5)] + [chat("q", f"{phrase}. Yes.")])
    desk.analyse("phrases")
    done = desk.decide("phrases", "strip")
    assert done.changed == 1
    assert list(desk.answers().values()) == [phrase] * 5 + ["Yes."]


def test_personal_data_is_replaced_in_all_places(desk: Desk) -> None:
    desk.fill([chat("Mail jo@example.org.", "I mailed jo@example.org and al@example.org.")])
    desk.analyse("pii")
    assert desk.rules("pii") == {"email": 2}
    (first, _) = desk.keys("pii")
    desk.decide("pii", "accept", keys=(first,))
    assert desk.answers()[1] == "I mailed [EMAIL] and al@example.org."
    assert desk.rules("pii") == {"email": 1}
    assert desk.stale("pii") == 0, "what a decision changed was looked at again"
    desk.decide("pii", "replace", replacement="<mail>")
    assert desk.answers()[1] == "I mailed [EMAIL] and <mail>."
    assert desk.rules("pii") == {}


def test_all_of_one_value_are_decided_at_once(desk: Desk) -> None:
    said = [chat(f"q{i}", f"Mail jo@example.org or a{i}@example.org.") for i in range(5)]
    desk.fill(said)
    desk.analyse("pii", "exact")
    with desk.open() as draft:
        (first, *_) = draft.findings.open("pii")
    done = desk.decide("pii", "accept", like=first.key)
    assert (done.decided, done.changed, done.skipped) == (5, 5, 0)
    assert desk.answers()[5] == "Mail [EMAIL] or a4@example.org."
    assert desk.decide("pii", "ignore", like=first.key).skipped == 1, "it is not there any more"
    desk.undo("pii")
    assert desk.decide("pii", "ignore", like=first.key).decided == 5
    assert desk.rules("pii") == {"email": 5}
    with pytest.raises(InvalidInputError):
        desk.decide("exact", "drop", like=first.key)


def test_what_is_ignored_stays_so(desk: Desk) -> None:
    desk.fill([chat("Mail jo@example.org.", "I mailed jo@example.org and al@example.org.")])
    desk.analyse("pii")
    first, second = desk.keys("pii")
    desk.decide("pii", "ignore", keys=(first,))
    desk.decide("pii", "accept", keys=(second,))  # which changes the record
    desk.analyse("pii")
    assert desk.rules("pii") == {}
    desk.undo("pii")
    desk.undo("pii")
    assert desk.rules("pii") == {"email": 2}


def test_what_was_replaced_and_comes_back_is_open(desk: Desk) -> None:
    desk.fill([chat("q", "Mail jo@example.org today, please.")])
    desk.analyse("pii")
    desk.decide("pii", "accept")
    with desk.open(write=True) as draft:
        draft.replace(1, Record.from_dict(chat("q", "Mail jo@example.org today, please.")), ME)
    assert desk.stale("pii") == 1
    desk.analyse("pii")
    assert desk.rules("pii") == {"email": 1}


def test_an_edit_that_somebody_undoes_opens_its_findings(desk: Desk) -> None:
    desk.fill([chat("q", "Mail jo@example.org today, please.")])
    desk.analyse("pii")
    desk.decide("pii", "accept")
    with desk.open(write=True) as draft:
        draft.undo(ME)
    assert desk.rules("pii") == {"email": 1}
    with desk.open(write=True) as draft:
        draft.redo(ME)
    assert desk.rules("pii") == {}


def test_what_is_forgotten_is_in_no_part_of_the_file(desk: Desk) -> None:
    desk.fill([chat("q", "Mail quetzal@example.org today, please.")])
    desk.analyse("pii")
    desk.decide("pii", "accept", forget=True)
    with desk.open(write=True) as draft:
        draft.connection.execute("SELECT 1")
        assert draft.edits(None, 10)[0].forgotten
    with pytest.raises(ConflictError):
        desk.undo("pii")
    desk.drafts.close()
    for path in desk.path.parent.iterdir():
        assert b"quetzal" not in path.read_bytes()


def test_findings_hold_no_text(desk: Desk) -> None:
    desk.fill([chat("q", "Mail quetzal@example.org today, please.")])
    desk.analyse("exact", "near", "phrases", "pii", "quality", "language")
    with desk.open() as draft:
        for table in ("findings", "finding_members", "decisions", "reviews"):
            rows = draft.connection.execute(f"SELECT * FROM {table}").fetchall()
            assert "quetzal" not in repr(rows)


def test_findings_go_with_their_file(desk: Desk) -> None:
    desk.fill([chat("q", "Mail jo@example.org today, please.")], "fi_a")
    desk.fill([chat("q", "Mail al@example.org today, please.")], "fi_b")
    desk.analyse("pii", "quality", "near", "language")
    desk.decide("pii", "ignore")
    with desk.open(write=True) as draft:
        draft.remove_file("fi_a")
        assert draft.findings.count("pii", decided=True, rule=None, sources=()) == 1
        for table in ("findings", "decisions"):
            rows = draft.connection.execute(f"SELECT 1 FROM {table} WHERE position = 1")
            assert rows.fetchall() == []


def test_findings_about_a_record_go_with_it(desk: Desk) -> None:
    desk.fill([chat("q", "Mail jo@example.org today, please.")])
    desk.analyse("pii")
    with desk.open(write=True) as draft:
        draft.remove(1, ME)
    assert desk.rules("pii") == {}


def test_quality_flags_are_kept_with_the_records(desk: Desk) -> None:
    desk.fill([chat("q", "ok"), chat("Hi {{name}}", LONG), chat(LONG, LONG)])
    desk.analyse("quality")
    assert desk.rules("quality") == {"short": 1, "placeholder": 1, "echo": 1}
    with desk.open() as draft:
        assert [flag_names(draft.get(i).flags) for i in (1, 2, 3)] == [
            ("short",),
            ("placeholder",),
            ("echo",),
        ]
    desk.decide("quality", "drop", rule="short")
    assert list(desk.answers()) == [2, 3]
    desk.decide("quality", "keep", rule="echo")
    desk.analyse("quality")
    assert desk.rules("quality") == {"placeholder": 1}


@pytest.mark.parametrize("word", [*REPLACEMENTS.values(), "[1]", "{x}"])
def test_what_review_puts_in_place_of_a_name_is_no_unfilled_placeholder(word: str) -> None:
    assert not holds_placeholder(chat("q", f"Call {word} today."))
    assert holds_placeholder(chat("q", f"Call {word}, [your name] or {{{{name}}}}."))


def test_languages(desk: Desk) -> None:
    german = "Der Patient hat gut geschlafen und ist am Nachmittag nach Hause gegangen."
    desk.fill([chat("q", LONG), chat("q2", LONG + " Twice."), chat("q", german), chat("q", "ok")])
    desk.analyse("language")
    assert desk.rules("language") == {"de": 1}
    with desk.open() as draft:
        assert [draft.get(i).language for i in range(1, 5)] == ["en", "en", "de", "und"]
    desk.analyse("language", languages=("en", "de"))
    assert desk.rules("language") == {}


def test_nothing_was_looked_at(desk: Desk) -> None:
    desk.fill([chat("q", LONG)])
    with desk.open() as draft:
        assert open_findings(draft) == {}
    with pytest.raises(ConflictError, match="nothing to undo"):
        desk.undo("pii")
    assert desk.decide("pii", "accept").decided == 0


def test_a_queue_knows_its_decisions(desk: Desk) -> None:
    with pytest.raises(InvalidInputError):
        desk.decide("pii", "drop")


def test_only_own_decisions_are_undone(desk: Desk) -> None:
    desk.fill([chat("q", "ok")])
    desk.analyse("quality")
    desk.decide("quality", "keep", OTHER)
    with pytest.raises(ConflictError):
        desk.undo("quality")
    assert desk.undo("quality", OTHER).decided == 1


def test_an_empty_draft(desk: Desk) -> None:
    counts = desk.analyse("exact", "near", "phrases", "pii", "quality", "language")
    assert set(counts.values()) == {0}


def test_editing_goes_on_during_an_analysis(desk: Desk) -> None:
    desk.fill([chat("q", "Mail jo@example.org today, please."), chat("q", LONG)])

    def edit(done: int, total: int) -> None:
        asyncio.run(desk.drafts.write("ds_x", lambda d: d.find(1) and d.remove(1, ME)))

    from adaptery.schemas.review import ReviewOptions
    from adaptery_hub.review.analysis import AnalysisOrder, analyse

    analyse(edit, AnalysisOrder(desk.path, 100, ("pii", "quality"), ReviewOptions()))
    assert desk.rules("pii") == {}, "the record is gone, and what was found in it"
