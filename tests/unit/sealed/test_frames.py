import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.errors import IntegrityError, InvalidInputError, RefusedError, TooLargeError
from adaptery.sealed import REFUSAL, FrameReader, FrameWriter, ReplyKey

KEY = ReplyKey(b"\x07" * 32)
REPLY = "_INBOX_service.1"


def reply(texts: list[str]) -> list[bytes]:
    writer = FrameWriter(KEY, REPLY)
    return [*(writer.data({"text": text}) for text in texts), writer.end()]


def read(payloads: list[bytes], reply: str = REPLY, key: ReplyKey = KEY) -> FrameReader:
    reader = FrameReader(key, reply)
    for payload in payloads:
        reader.feed(payload)
    return reader


@given(st.lists(st.text(max_size=20), max_size=8))
def test_what_is_written_is_read_in_order(texts: list[str]):
    reader = FrameReader(KEY, REPLY)
    frames = [reader.feed(payload) for payload in reply(texts)]
    assert [frame.value["text"] for frame in frames if frame and frame.type == "data"] == texts
    assert reader.finished


@given(st.permutations(range(4)))
def test_only_the_written_order_passes(order: list[int]):
    frames = reply(["a", "b", "c"])
    if order == sorted(order):
        assert read(frames).finished
        return
    with pytest.raises(IntegrityError):
        read([frames[index] for index in order])


@pytest.mark.parametrize("missing", range(3))
def test_a_missing_frame_is_seen(missing: int):
    frames = reply(["a", "b", "c"])
    del frames[missing]
    with pytest.raises(IntegrityError):
        read(frames)


@pytest.mark.parametrize("kept", range(4))
def test_a_cut_reply_is_never_finished(kept: int):
    assert not read(reply(["a", "b", "c"])[:kept]).finished


def test_a_repeated_frame_and_a_frame_after_the_end_are_seen():
    frames = reply(["a"])
    with pytest.raises(IntegrityError):
        read([frames[0], frames[0]])
    with pytest.raises(IntegrityError):
        read([*frames, frames[-1]])


def test_a_frame_of_another_reply_or_key_does_not_open():
    with pytest.raises(IntegrityError):
        read(reply(["a"]), reply="_INBOX_service.2")
    with pytest.raises(IntegrityError):
        read(reply(["a"]), key=ReplyKey(b"\x01" * 32))


@given(position=st.integers(min_value=0), mask=st.integers(1, 255))
def test_no_changed_byte_passes(position: int, mask: int):
    payload = bytearray(reply(["hello"])[0])
    payload[position % len(payload)] ^= mask
    with pytest.raises(IntegrityError):
        read([bytes(payload)])


def test_a_refusal_counts_only_before_the_first_frame():
    with pytest.raises(RefusedError):
        read([REFUSAL])
    frames = reply(["a"])
    assert read([frames[0], REFUSAL, frames[1]]).finished


def test_a_value_that_cannot_be_sent_leaves_no_gap():
    writer = FrameWriter(KEY, REPLY)
    with pytest.raises(TooLargeError):
        writer.data({"text": "x" * 2**20})
    with pytest.raises(InvalidInputError):
        writer.data({"text": object()})
    assert read([writer.data({"text": "a"}), writer.end()]).finished


def test_only_the_caller_can_cancel_and_only_this_reply():
    cancel = KEY.seal_cancel(REPLY)
    assert KEY.is_cancel(cancel, REPLY)
    assert not KEY.is_cancel(cancel, REPLY + "x")
    assert not ReplyKey(b"\x01" * 32).is_cancel(cancel, REPLY)
    for position, mask in itertools.product(range(len(cancel)), (1, 128)):
        changed = bytearray(cancel)
        changed[position] ^= mask
        assert not KEY.is_cancel(bytes(changed), REPLY)


def test_a_frame_is_no_cancel_and_a_cancel_no_frame():
    assert not KEY.is_cancel(reply([])[0], REPLY)
    assert not KEY.is_cancel(b"\x80", REPLY)
    with pytest.raises(IntegrityError):
        read([KEY.seal_cancel(REPLY)])
