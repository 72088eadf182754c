import json

from adaptery_network.agent.event_tail import EventTail

CANARY = "the patient said canary"


def line(seq, **fields):
    event = {"seq": seq, "at": "2026-01-01T00:00:00Z", "kind": "metrics", "step": seq, "epoch": 0.1}
    return json.dumps({**event, **fields}).encode() + b"\n"


def seqs(events):
    return [event.seq for event in events]


def read_all(tail):
    events = tail.read()
    while tail.behind:
        events += tail.read()
    return events


def test_a_missing_file_holds_no_events(tmp_path):
    assert EventTail(tmp_path / "events.jsonl").read() == []


def test_each_event_is_read_once_and_a_partial_line_when_it_is_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    tail = EventTail(path)
    second = line(2)
    path.write_bytes(line(1) + second[:20])
    assert seqs(tail.read()) == [1]
    assert tail.read() == []
    path.write_bytes(line(1) + second + line(3))
    assert seqs(tail.read()) == [2, 3]


def test_a_second_reader_starts_again_and_sees_all(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(1) + line(2))
    assert seqs(EventTail(path).read()) == [1, 2]
    assert seqs(EventTail(path).read()) == [1, 2]


def test_lines_that_are_no_events_are_counted_and_skipped(tmp_path, caplog):
    path = tmp_path / "events.jsonl"
    odd = line(2, text=CANARY) + CANARY.encode() + b"\n\n" + b"\xff\xfe\n"
    path.write_bytes(line(1) + odd + line(3))
    tail = EventTail(path)
    assert seqs(tail.read()) == [1, 3]
    assert tail.rejected == 3
    assert CANARY not in caplog.text


def test_a_line_without_an_end_cannot_hold_up_the_rest(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(1) + b"x" * 3_000_000)
    tail = EventTail(path)
    assert seqs(read_all(tail)) == [1]
    with path.open("ab") as stream:
        stream.write(b"x" * 10 + b"\n" + line(2))
    assert seqs(tail.read()) == [2]
    assert tail.rejected == 1


def test_a_worker_gone_wild_is_read_in_pieces(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(b"".join(map(line, range(1, 5001))))
    tail = EventTail(path)
    first = tail.read()
    assert 0 < len(first) < 5000 and tail.behind
    assert seqs(first + read_all(tail)) == list(range(1, 5001))


def test_a_sequence_that_goes_back_is_dropped(tmp_path):
    path = tmp_path / "events.jsonl"
    path.write_bytes(line(1) + line(2) + line(1) + line(3))
    assert seqs(EventTail(path).read()) == [1, 2, 3]
