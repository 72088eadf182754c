import pytest

from adaptery_training.answer_scores import is_exact, rouge_l


@pytest.mark.parametrize(
    ("wanted", "written", "f1"),
    [
        # Lin, 2004, section 3.1: both have a common subsequence of three and of two words.
        ("police killed the gunman", "police kill the gunman", 3 / 4),
        ("police killed the gunman", "the gunman kill police", 2 / 4),
        ("Police killed the gunman.", "police KILLED the, gunman", 1),
        ("one two three four", "four two", 2 * 1 / 6),
        ("снег идёт", "Снег не идёт", 2 * 2 / 5),
        ("snake_case", "snake case", 1),
        ("anything", "", 0),
        ("...", "!!!", 0),
    ],
)
def test_rouge_l_is_the_f1_of_the_longest_common_subsequence(wanted, written, f1):
    assert rouge_l(wanted, written) == pytest.approx(f1)
    assert rouge_l(written, wanted) == pytest.approx(f1)


def test_exact_means_all_but_white_space():
    assert is_exact("A red  rose.\n", " A red rose.")
    assert not is_exact("A red rose.", "A red rose")
    assert not is_exact("A red rose.", "a red rose.")
