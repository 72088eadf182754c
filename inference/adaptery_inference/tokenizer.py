"""Text to tokens and back: one tokenizer, and a chat template for each adapter.

An adapter is chatted with in the template that it was trained with; one that names none, and the
base model itself, take the base model's own.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from adaptery.errors import InvalidInputError
from adaptery.examples import OWN_TEMPLATE, TEMPLATE_NAMES, ChatTokenizer
from adaptery_inference.errors import BadRequestError

Message = Mapping[str, object]


class PromptTokenizer:
    """The tokenizer of one base model, with its chat template and those that fit it."""

    def __init__(self, folder: Path) -> None:
        """Read the tokenizer.

        Raises:
            InvalidInputError: the folder has no fast tokenizer.
        """
        self._own = ChatTokenizer(folder)
        self._with = cache(lambda template: ChatTokenizer(folder, template))
        self.size, self.to_json = self._own.size, self._own.to_json
        self.encode, self.decode = self._own.encode, self._own.decode

    def encode_chat(
        self,
        messages: Sequence[Message],
        tools: Sequence[Message] = (),
        template: str = OWN_TEMPLATE,
    ) -> list[int]:
        """Tokens of a conversation, up to where the assistant speaks.

        Args:
            messages: with arguments of calls as objects, not as text.
            tools: that the model is told of, by its template or in the system message.
            template: the name of the chat template.

        Raises:
            BadRequestError: the model has no chat template, or it refuses these roles.
        """
        tokenizer = self._own if template == OWN_TEMPLATE else self._with(template)
        if not tokenizer.has_template:
            raise BadRequestError(
                "The base model has no chat template. Use /v1/completions instead."
            )
        try:
            text = tokenizer.render(messages, tools, opening=True)
        except InvalidInputError:
            raise BadRequestError(
                "The chat template of the base model refuses these messages. Begin with system or "
                "user, then let user and assistant take turns."
            ) from None
        return tokenizer.encode_rendered(text).ids

    def end_tokens(self) -> set[int]:
        """The tokens that end an answer, in whichever template that fits this base model."""
        ends = self._own.end_tokens()
        for template in TEMPLATE_NAMES:
            if self.takes(template):
                ends |= self._with(template).end_tokens()
        return ends

    def takes(self, template: str) -> bool:
        """Whether there is such a template, and the base model has its control tokens."""
        if template == OWN_TEMPLATE:
            return True
        try:
            self._with(template)
        except InvalidInputError:
            return False
        return True
