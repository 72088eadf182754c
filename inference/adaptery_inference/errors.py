"""The errors that only the engine knows, in the tree of ``adaptery.errors``.

The engine speaks the OpenAI API, whose clients expect 400 for a wrong request and 429 for a full
queue; the classes here carry those statuses.
"""

from adaptery.errors import ContextLengthError, FieldProblem, InvalidInputError, QuotaError

__all__ = [
    "BadRequestError",
    "BrokenNumbersError",
    "ContextTooLongError",
    "EngineQueueFullError",
]


class BadRequestError(InvalidInputError):
    """The request is not valid."""

    code = "bad_request"
    status = 400

    @classmethod
    def for_field(cls, where: str, reason: str, remedy: str = "") -> "BadRequestError":
        """The error that blames one field."""
        return cls(errors=(FieldProblem(where, reason, remedy),))


class ContextTooLongError(BadRequestError, ContextLengthError):
    """Prompt and answer together are longer than the context of the model."""

    code = ContextLengthError.code

    @classmethod
    def for_lengths(cls, prompt: int, answer: int | None, limit: int) -> "ContextTooLongError":
        """The error with its numbers, in tokens; ``answer`` is None where none was asked for."""
        if answer is None or prompt >= limit:
            wanted, remedy = f"The prompt has {prompt} tokens", "Shorten the prompt"
        else:
            wanted = f"The prompt has {prompt} tokens and max_tokens is {answer}"
            remedy = f"Shorten the prompt or ask for at most {limit - prompt} tokens"
        return cls(f"{wanted}; the context holds {limit} tokens. {remedy}.")


class EngineQueueFullError(QuotaError):
    """Too many requests wait for this engine."""

    code = "engine_queue_full"


class BrokenNumbersError(InvalidInputError):
    """The model with this adapter computes numbers that are not finite; train the adapter again."""

    code = "broken_numbers"
