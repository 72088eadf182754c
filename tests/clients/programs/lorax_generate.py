"""lorax-client: generate and stream, the adapter named by us."""

from features import PLACE, feature, run, same
from lorax import Client
from lorax.errors import GenerationError, NotFoundError, ValidationError

client = Client(f"{PLACE.service}/lorax", headers={"Authorization": f"Bearer {PLACE.token}"})


@feature("generate")
def generate() -> None:
    answer = client.generate("Write note 3.", adapter_id=PLACE.adapter, max_new_tokens=6)
    same(answer.details.generated_tokens, len(answer.details.tokens))
    assert answer.details.generated_tokens <= 6 and isinstance(answer.generated_text, str)


@feature("stream")
def stream() -> None:
    pieces = list(
        client.generate_stream("Write note 3.", adapter_id=PLACE.adapter, max_new_tokens=6)
    )
    text = "".join(piece.token.text for piece in pieces if not piece.token.special)
    same(pieces[-1].generated_text, text)
    assert pieces[-1].details is not None


@feature("errors")
def errors() -> None:
    for name in ("@nobody/nothing", "/data/adapters/nothing"):
        try:
            client.generate("hi", adapter_id=name)
        except (NotFoundError, GenerationError, ValidationError):
            continue
        raise AssertionError(f"{name} answered")


run()
