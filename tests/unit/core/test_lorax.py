"""LoRAX's requests as completions of ours, and answers in its shape."""

import pytest

from adaptery.answer_parts import AnswerLimits, Delta, DeltaReader, TokenLogprob, Usage
from adaptery.errors import InvalidInputError, NotOfferedError
from adaptery.lorax_shapes import LoraxStream, lorax_answer
from adaptery.schemas.common import parse
from adaptery.schemas.lorax import LoraxRequest
from adaptery.schemas.openai import CompletionRequest

#: The body of the paper's Listing 4.
LISTING_4 = {
    "inputs": "[INST] Generate SOAP notes from the following transcription ... [/INST]",
    "parameters": {
        "temperature": 0.5,
        "max_new_tokens": 512,
        "adapter_id": "adapters/soap-node-generator",
        "adapter_source": "local",
    },
}


def asked(**parameters: object) -> LoraxRequest:
    return parse(LoraxRequest, {"inputs": "hi", "parameters": parameters})


def completion(**parameters: object) -> CompletionRequest:
    return asked(**parameters).completion(stream=False)


def test_listing_4_of_the_paper() -> None:
    request = parse(LoraxRequest, LISTING_4).completion(stream=False)
    assert (request.model, request.max_tokens) == ("soap-node-generator", 512)
    assert request.engine_request("m") == {
        "model": "m",
        "prompt": LISTING_4["inputs"],
        "temperature": 0.5,
        "max_tokens": 512,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    "adapter_id, model",
    [
        (None, ""),
        ("", ""),
        ("soap", "soap"),
        ("@demo/soap@1", "@demo/soap@1"),
        ("radiology/soap", "radiology/soap"),
        ("data/soap", "data/soap"),
        ("/data/adapters/soap", "soap"),
        ("/data/adapters/soap@2", "soap@2"),
        ("data/adapters/soap", "soap"),
        ("adapters/jb_01hzzzzzzzzzzzzzzzzzzzzzzz", "jb_01hzzzzzzzzzzzzzzzzzzzzzzz"),
        ("/data/../soap", "/data/../soap"),
        ("/data/./soap", "/data/./soap"),
        ("/data/adapters/soap/", "/data/adapters/soap/"),
        ("/data//soap", "/data//soap"),
        ("/data/%2e%2e/soap", "/data/%2e%2e/soap"),
        ("/data/@guest/soap", "/data/@guest/soap"),
        ("https://x/soap", "https://x/soap"),
    ],
)
def test_of_a_path_its_end_is_a_name(adapter_id: str | None, model: str) -> None:
    assert completion(adapter_id=adapter_id).model == model


def test_one_greedy_answer_unless_something_else_is_asked_for() -> None:
    plain = completion(best_of=None, do_sample=None)
    assert (plain.temperature, plain.best_of, plain.max_tokens) == (0, None, None)
    assert completion(do_sample=True).temperature is None
    assert completion(do_sample=False, top_p=0.9).temperature is None
    assert completion(temperature=0.3).temperature == 0.3
    assert completion(temperature=0, do_sample=True).temperature == 0
    assert completion(do_sample=True, best_of=2).best_of == 2


def test_settings_become_ours() -> None:
    schema = {"type": "object"}
    request = completion(
        stop=["END"],
        seed=7,
        top_k=5,
        repetition_penalty=1.2,
        response_format={"type": "json_object", "schema": schema},
        details=True,
    )
    built = request.engine_request("m")
    assert built.items() >= {"stop": ["END"], "seed": 7, "top_k": 5}.items()
    assert (built["repetition_penalty"], built["logprobs"]) == (1.2, 0)
    assert built["response_format"]["json_schema"] == {"name": "answer", "schema": schema}
    assert built["return_token_ids"] is True


@pytest.mark.parametrize(
    "parameters, where",
    [
        ({"best_of": 2}, "parameters.best_of"),
        ({"best_of": 2, "do_sample": True, "seed": 1}, "parameters.best_of"),
        ({"best_of": 17, "do_sample": True}, "parameters.best_of"),
        ({"max_new_tokens": 0}, "parameters.max_new_tokens"),
        ({"seed": -1}, "parameters.seed"),
        ({"temperature": -1}, "parameters.temperature"),
        ({"stop": ["x"] * 17}, "parameters.stop"),
        ({"adapter_id": "x" * 401}, "parameters.adapter_id"),
        ({"response_format": {"type": "regex"}}, "parameters.response_format.type"),
    ],
)
def test_what_is_not_valid_names_the_parameter(parameters: dict, where: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        asked(**parameters)
    assert caught.value.errors[0].where == where


@pytest.mark.parametrize(
    "parameters",
    [
        {"merged_adapters": {"ids": ["a", "b"], "weights": [0.5, 0.5]}},
        {"ignore_eos_token": True},
        {"truncate": 5},
        {"typical_p": 0.5},
        {"watermark": True},
        {"decoder_input_details": True},
        {"return_k_alternatives": 2},
    ],
)
def test_what_is_not_offered_is_named(parameters: dict) -> None:
    with pytest.raises(NotOfferedError) as caught:
        completion(**parameters)
    assert caught.value.errors[0].where == f"parameters.{next(iter(parameters))}"
    completion(**{**dict.fromkeys(parameters), "watermark": False})


def delta(text: str, *tokens: tuple[int, str], finish: str | None = None) -> Delta:
    logprobs = tuple(TokenLogprob(token, -1.0, None, (), id_) for id_, token in tokens)
    return Delta(0, text, finish, (), logprobs)


def test_the_tokens_of_a_stream_are_its_text() -> None:
    stream = LoraxStream(asked(seed=3))
    deltas = [
        delta("He", (1, "He")),
        delta("", (2, "\ufffd")),  # the first half of a character
        delta("é", (3, "\ufffd")),
        delta("ab", (4, "a"), (5, "b")),
        delta("!"),  # what might have become a stop sequence
        delta("", finish="length"),
    ]
    events = [event for each in deltas for event in stream.feed([each])]
    events.append(stream.end(Usage(9, 5)))
    assert "".join(e["token"]["text"] for e in events) == "Heéab!"
    assert [e["token"]["id"] for e in events] == [1, 2, 3, 4, 5]
    assert all(e["generated_text"] is None and e["details"] is None for e in events[:-1])
    assert events[-1]["generated_text"] == "Heéab!"
    assert events[-1]["details"] == {
        "finish_reason": "length",
        "prompt_tokens": 9,
        "generated_tokens": 5,
        "skipped_tokens": 0,
        "seed": 3,
    }


def test_an_engine_that_tells_no_tokens_streams_its_text() -> None:
    stream = LoraxStream(asked())
    events = [event for text in ("a", "b", "c") for event in stream.feed([delta(text)])]
    events.append(stream.end(Usage(1, 3)))
    assert [e["token"]["text"] for e in events] == ["a", "b", "c"]
    assert events[-1]["details"]["generated_tokens"] == 3


def test_a_stream_of_nothing_has_one_event() -> None:
    event = LoraxStream(asked()).end(Usage(1, 0))
    assert (event["token"]["text"], event["generated_text"]) == ("", "")


def test_a_plain_answer() -> None:
    deltas = [delta("He", (1, "He")), delta("llo", (2, "llo")), delta("", finish="stop")]
    assert lorax_answer(asked(), deltas, Usage(3, 2)) == {"generated_text": "Hello"}
    answer = lorax_answer(asked(details=True, return_full_text=True), deltas, Usage(3, 2))
    assert answer["generated_text"] == "hiHello"
    details = answer["details"]
    assert (details["finish_reason"], details["prefill"]) == ("eos_token", [])
    assert (details["prompt_tokens"], details["generated_tokens"]) == (3, 2)
    assert [(t["id"], t["text"]) for t in details["tokens"]] == [(1, "He"), (2, "llo")]
    best = asked(details=True, do_sample=True, best_of=3)
    assert lorax_answer(best, deltas, Usage(3, 6))["details"]["generated_tokens"] == 2


def test_a_stop_sequence_is_told_from_the_end() -> None:
    reader = DeltaReader(chat=False, limits=AnswerLimits())
    for said, reason in (("END", "stop_sequence"), (None, "eos_token"), (2, "eos_token")):
        choice = {"index": 0, "text": "x", "finish_reason": "stop", "stop_reason": said}
        deltas = reader.read({"choices": [choice]})
        answer = lorax_answer(asked(details=True), deltas, Usage())
        assert answer["details"]["finish_reason"] == reason
