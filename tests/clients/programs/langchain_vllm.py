"""langchain-community: `VLLMOpenAI`, the paper's Listing 5, which names a base model."""

from features import PLACE, feature, run, same
from langchain_community.llms import VLLMOpenAI

llm = VLLMOpenAI(
    openai_api_key=PLACE.key,
    openai_api_base=PLACE.bound,
    model_name=PLACE.base,
    max_tokens=8,
    temperature=0,
)


@feature("completions")
def completions() -> None:
    assert isinstance(llm.invoke("What is a SOAP note?"), str)


@feature("stream")
def stream() -> None:
    same("".join(llm.stream("What is a SOAP note?")), llm.invoke("What is a SOAP note?"))


@feature("defaults")
def defaults() -> None:
    plain = VLLMOpenAI(openai_api_key=PLACE.key, openai_api_base=PLACE.bound, model_name=PLACE.base)
    assert isinstance(plain.invoke("What is a SOAP note?"), str)


run()
