"""openai-python: chat, streams, completions, embeddings, models, tools, schemas, errors."""

import json

import openai
from features import HELLO, PLACE, feature, run, same

hub = openai.OpenAI(base_url=PLACE.openai, api_key=PLACE.token)
key = openai.OpenAI(base_url=PLACE.bound, api_key=PLACE.key)
COLOUR = {
    "type": "object",
    "properties": {"colour": {"enum": ["red", "blue"]}, "count": {"enum": [1, 2]}},
    "required": ["colour", "count"],
    "additionalProperties": False,
}
SHADE = {"type": "object", "properties": {"blue": {"type": "boolean"}}, "required": ["blue"]}
TOOL = {"type": "function", "function": {"name": "paint", "parameters": SHADE}}


def text_of(stream: object) -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)


@feature("models")
def models() -> None:
    names = [model.id for model in hub.models.list()]
    assert PLACE.adapter in names and PLACE.base in names, names
    same(hub.models.retrieve(PLACE.adapter).id, PLACE.adapter)
    same([model.id for model in key.models.list()], [PLACE.adapter])


@feature("chat")
def chat() -> None:
    for client, model in ((hub, PLACE.adapter), (hub, PLACE.base), (hub, ""), (key, "")):
        answer = client.chat.completions.create(model=model, messages=HELLO, max_tokens=4)
        assert answer.usage.completion_tokens <= 4 and answer.choices[0].finish_reason
    same(answer.model, PLACE.adapter)


@feature("stream")
def stream() -> None:
    options = {"model": PLACE.adapter, "messages": HELLO, "max_tokens": 8, "temperature": 0}
    whole = hub.chat.completions.create(**options).choices[0].message.content
    same(text_of(hub.chat.completions.create(**options, stream=True)), whole)
    usage = {"include_usage": True}
    chunks = list(hub.chat.completions.create(**options, stream=True, stream_options=usage))
    assert chunks[-1].usage.total_tokens and not chunks[-1].choices


@feature("completions")
def completions() -> None:
    answer = hub.completions.create(model=PLACE.adapter, prompt=["One", "Two"], max_tokens=4)
    same([choice.index for choice in answer.choices], [0, 1])


@feature("sampling")
def sampling() -> None:
    answer = hub.chat.completions.create(
        model=PLACE.adapter,
        messages=HELLO,
        max_completion_tokens=6,
        n=2,
        seed=7,
        logprobs=True,
        top_logprobs=2,
        frequency_penalty=0.5,
        presence_penalty=0.5,
        logit_bias={"5": -100},
        stop=["\n\n"],
    )
    same(len(answer.choices), 2)
    content = answer.choices[0].logprobs.content
    assert content and all(len(token.top_logprobs) == 2 for token in content)


@feature("JSON schema")
def schema() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "colour", "schema": COLOUR}}
    answer = hub.chat.completions.create(
        model=PLACE.adapter, messages=HELLO, response_format=wanted, max_tokens=120
    )
    found = json.loads(answer.choices[0].message.content)
    assert found["colour"] in ("red", "blue") and found["count"] in (1, 2), found


@feature("tools")
def tools() -> None:
    answer = hub.chat.completions.create(
        model=PLACE.adapter, messages=HELLO, tools=[TOOL], tool_choice="required", max_tokens=90
    )
    call = answer.choices[0].message.tool_calls[0]
    same((call.function.name, answer.choices[0].finish_reason), ("paint", "tool_calls"))
    assert json.loads(call.function.arguments)["blue"] in (True, False)


@feature("embeddings")
def embeddings() -> None:
    answer = hub.embeddings.create(model=PLACE.embedding, input=["one", "two", "three"])
    same([item.index for item in answer.data], [0, 1, 2])
    numbers = hub.embeddings.create(model="", input="one", encoding_format="float").data[0]
    same(len(numbers.embedding), len(answer.data[0].embedding))


@feature("errors")
def errors() -> None:
    stranger = openai.OpenAI(base_url=PLACE.openai, api_key="nobody")
    for client, model, kind in (
        (stranger, PLACE.adapter, openai.AuthenticationError),
        (hub, "@nobody/nothing", openai.NotFoundError),
        (key, PLACE.adapter + "9", openai.NotFoundError),
    ):
        try:
            client.chat.completions.create(model=model, messages=HELLO)
        except kind as error:
            assert error.request_id and error.code, error
        else:
            raise AssertionError(f"{model} answered")
    try:
        hub.chat.completions.create(model="", messages=HELLO, temperature=99)
    except openai.BadRequestError as error:
        same(error.param, "temperature")
    try:
        hub.responses.create(model="", input="hi")
    except openai.NotFoundError as error:
        assert "chat/completions" in str(error)


run()
