"""langchain-openai: ChatOpenAI plain, streamed, structured, with tools; OpenAIEmbeddings."""

from features import PLACE, feature, run, same
from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel

model = ChatOpenAI(
    model=PLACE.adapter, base_url=PLACE.openai, api_key=PLACE.token, max_tokens=110, temperature=0
)


class Colour(BaseModel):
    """A colour."""

    blue: bool


@feature("chat")
def chat() -> None:
    answer = model.invoke([HumanMessage("Write note 3.")])
    same(answer.response_metadata["model_name"], PLACE.adapter)


@feature("stream")
def stream() -> None:
    whole = model.invoke("Write note 3.").content
    same("".join(chunk.content for chunk in model.stream("Write note 3.")), whole)


@feature("JSON schema")
def structured() -> None:
    found = model.with_structured_output(Colour).invoke("Is it blue?")
    assert isinstance(found, Colour)


@feature("tools")
def tools() -> None:
    @tool
    def paint(blue: bool) -> str:
        """Paint the wall."""
        return "done"

    answer = model.bind_tools([paint], tool_choice="paint").invoke("Paint it blue.")
    same(answer.tool_calls[0]["name"], "paint")


@feature("embeddings")
def embeddings() -> None:
    maker = OpenAIEmbeddings(
        model=PLACE.embedding,
        base_url=PLACE.openai,
        api_key=PLACE.token,
        check_embedding_ctx_length=False,
    )
    same(len(maker.embed_documents(["one", "two", "three"])), 3)


run()
