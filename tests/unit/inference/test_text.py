import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery_inference.engine import IncrementalText, StopScanner


def bytes_decode(tokens: list[int]) -> str:
    """One token per byte, as a byte-level tokenizer decodes."""
    return bytes(tokens).decode("utf-8", errors="replace")


def stream(data: bytes, stops: tuple[str, ...] = ()) -> tuple[list[str], bool]:
    text = IncrementalText(bytes_decode, stops)
    deltas: list[str] = []
    for byte in data:
        deltas.append(text.append(byte))
        if text.stop is not None:
            break
    deltas.append(text.finish())
    return deltas, text.stop is not None


@given(st.text())
def test_deltas_of_text_are_whole_characters_and_add_up(text: str) -> None:
    deltas, _ = stream(text.encode("utf-8"))
    assert "".join(deltas) == text


@given(st.binary())
def test_deltas_of_any_bytes_add_up(data: bytes) -> None:
    deltas, _ = stream(data)
    assert "".join(deltas) == data.decode("utf-8", errors="replace")


def test_half_a_character_is_held_back() -> None:
    text = IncrementalText(bytes_decode)
    assert [text.append(byte) for byte in "é🙂".encode()] == ["", "é", "", "", "", "🙂"]


def test_a_decoder_that_strips_the_first_space_still_gives_it_within_the_text() -> None:
    words = {1: " Hello", 2: " big", 3: " world"}
    text = IncrementalText(lambda tokens: "".join(words[t] for t in tokens).lstrip())
    assert [text.append(token) for token in (1, 2, 3)] == ["Hello", " big", " world"]


@given(
    st.text(alphabet="ab\n#", max_size=40),
    st.lists(st.text(alphabet="ab\n#", min_size=1, max_size=4), min_size=1, max_size=3),
    st.lists(st.integers(1, 5), max_size=40),
)
def test_text_ends_before_the_first_stop_however_it_is_cut(
    text: str, stops: list[str], cuts: list[int]
) -> None:
    scanner, shown, rest = StopScanner(stops), "", text
    for cut in [*cuts, len(text)]:
        if scanner.stopped:
            break
        shown += scanner.feed(rest[:cut])
        assert not any(stop in shown for stop in stops)
        rest = rest[cut:]
    shown += scanner.flush()
    ends = [text.find(stop) for stop in stops if stop in text]
    if scanner.stopped:
        assert text.startswith(shown)
        assert any(text[len(shown) :].startswith(stop) for stop in stops)
    else:
        assert not ends
        assert shown == text


def test_a_stop_over_several_tokens_is_never_shown_in_part() -> None:
    deltas, stopped = stream(b"one##two", ("##",))
    assert (deltas, stopped) == (["o", "n", "e", "", "", ""], True)


def test_what_looked_like_a_stop_is_shown_in_the_end() -> None:
    deltas, stopped = stream(b"a#", ("##",))
    assert ("".join(deltas), stopped) == ("a#", False)


@pytest.mark.parametrize("stop", ["🙂", "é"])
def test_a_stop_of_several_bytes_works(stop: str) -> None:
    deltas, stopped = stream(f"yes{stop}no".encode(), (stop,))
    assert ("".join(deltas), stopped) == ("yes", True)
