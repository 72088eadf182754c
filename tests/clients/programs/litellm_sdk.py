"""litellm SDK: completion, stream, embedding."""

import litellm
from features import HELLO, PLACE, feature, run, same

litellm.telemetry = False
PLACED = {"api_base": PLACE.openai, "api_key": PLACE.token}


@feature("chat")
def chat() -> None:
    answer = litellm.completion(
        model=f"openai/{PLACE.adapter}", messages=HELLO, max_tokens=4, **PLACED
    )
    same(answer.model.removeprefix("openai/"), PLACE.adapter)


@feature("stream")
def stream() -> None:
    options = {"model": f"openai/{PLACE.adapter}", "messages": HELLO, "max_tokens": 6, **PLACED}
    whole = litellm.completion(**options, temperature=0).choices[0].message.content
    chunks = litellm.completion(**options, temperature=0, stream=True)
    same("".join(chunk.choices[0].delta.content or "" for chunk in chunks), whole)


@feature("embeddings")
def embeddings() -> None:
    answer = litellm.embedding(model=f"openai/{PLACE.embedding}", input=["one", "two"], **PLACED)
    same(len(answer.data), 2)


@feature("errors")
def errors() -> None:
    try:
        litellm.completion(model="openai/@nobody/nothing", messages=HELLO, **PLACED)
    except litellm.NotFoundError:
        return
    raise AssertionError("a name of nobody answered")


run()
