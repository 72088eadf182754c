"""The tree of errors and its two forms on the wire."""

import pickle

import pytest

from adaptery.errors import (
    ERRORS_BY_CODE,
    AdapteryError,
    FieldProblem,
    IntegrityError,
    InvalidInputError,
    JobStateError,
    NotFoundError,
    QuotaError,
    RefusedError,
    SpecError,
    UnavailableError,
    from_openai,
    from_problem,
)

EVERY_CLASS = sorted(ERRORS_BY_CODE.values(), key=lambda cls: cls.code)


def test_no_two_classes_share_a_code():
    def tree(cls):
        return [cls, *(found for sub in cls.__subclasses__() for found in tree(sub))]

    ours = [cls for cls in tree(AdapteryError) if cls.__module__ == "adaptery.errors"]
    assert len({cls.code for cls in ours}) == len(ours) == len(ERRORS_BY_CODE)


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.code)
def test_an_error_survives_the_wire(cls):
    problem = FieldProblem("records.3", "is empty.", "Fill it.")
    error = cls("it broke", hint="mend it", errors=[problem], retry_after_seconds=2.0)
    read = from_problem(error.to_problem("rq_1"))
    assert type(read) is cls
    assert (read.message, read.hint, read.errors) == ("it broke", "mend it", (problem,))
    assert (read.retry_after_seconds, read.request_id) == (2.0, "rq_1")


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.code)
def test_the_default_message_is_the_first_line_of_the_docstring(cls):
    assert cls().message.endswith(".") and "\n" not in cls().message
    assert cls().to_problem("rq_1")["title"] == cls().message


@pytest.mark.parametrize("cls", EVERY_CLASS, ids=lambda cls: cls.code)
def test_openai_shape_keeps_the_code_and_maps_back(cls):
    body = cls("it broke").to_openai()
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert type(from_openai(body, cls.status)) is cls


def test_a_problem_has_exactly_the_fields_of_the_contract():
    plain = NotFoundError().to_problem("rq_1")
    assert set(plain) == {"type", "title", "status", "code", "detail", "request_id"}
    full = SpecError(hint="h", errors=[FieldProblem("a", "b")]).to_problem(None)
    assert set(full) == set(plain) | {"hint", "errors"}
    assert set(full["errors"][0]) == {"where", "reason", "remedy"}


@pytest.mark.parametrize(
    ("status", "cls"),
    [(404, NotFoundError), (422, InvalidInputError), (429, QuotaError), (502, UnavailableError)],
)
def test_an_unknown_code_becomes_the_class_of_its_status(status, cls):
    assert type(from_problem({"code": "of_the_future", "status": status})) is cls


def test_a_broken_problem_is_still_an_error():
    error = from_problem({"code": 7, "detail": None, "errors": ["x", {"where": 3}], "hint": []})
    assert type(error) is AdapteryError
    assert error.errors == (FieldProblem("", ""),)


def test_the_reason_of_a_refusal_stays_on_the_side_that_refuses():
    one, other = RefusedError(reason="replayed"), RefusedError(reason="no_grant")
    assert one.to_problem("rq_1") == other.to_problem("rq_1")
    assert "replayed" not in str(one.to_problem("rq_1")) + str(one)


def test_errors_can_be_pickled():
    error = IntegrityError("m", hint="h", errors=[FieldProblem("a", "b", "c")])
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.message, copy.hint, copy.errors) == (
        IntegrityError,
        "m",
        "h",
        error.errors,
    )


def test_the_text_of_an_error_names_hint_and_fields():
    error = JobStateError("no", hint="wait", errors=[FieldProblem("state", "is final.", "Stop.")])
    assert str(error) == "no (wait)\n  state: is final; Stop."
