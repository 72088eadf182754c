"""Text to tokens and back, with the chat template of the base model.

Encoding and decoding go straight to the ``tokenizers`` object, which two threads may use at once;
the transformers wrapper around it changes its settings on every call.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from jinja2 import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from adaptery.errors import InvalidInputError
from adaptery_inference.errors import BadRequestError
from adaptery_inference.tool_prompts import plain_messages

_PROBE = "probe"
_PROBE_TOOL = {"type": "function", "function": {"name": _PROBE, "parameters": {}}}
_TURN = ({"role": "user", "content": _PROBE},)
Message = Mapping[str, object]


class ChatTokenizer:
    """The tokenizer of one base model."""

    def __init__(self, folder: Path) -> None:
        """Read the tokenizer.

        Raises:
            InvalidInputError: the folder has no fast tokenizer.
        """
        found = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        if not isinstance(found, PreTrainedTokenizerFast):
            raise InvalidInputError("The base model has no fast tokenizer (tokenizer.json).")
        self._wrapper = found
        self._tokenizer = found.backend_tokenizer
        self._template_knows_tools = self._probe_tools()

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return len(self._wrapper)

    def encode(self, text: str) -> list[int]:
        """Tokens of a plain prompt, with the special tokens that the model wants before it."""
        return self._tokenizer.encode(text, add_special_tokens=True).ids

    def to_json(self) -> str:
        """The whole tokenizer, as its ``tokenizer.json``."""
        return self._tokenizer.to_str()

    def encode_chat(self, messages: Sequence[Message], tools: Sequence[Message] = ()) -> list[int]:
        """Tokens of a conversation, up to where the assistant speaks.

        Args:
            messages: with arguments of calls as objects, not as text.
            tools: that the model is told of, by its template or in the system message.

        Raises:
            BadRequestError: the model has no chat template, or it refuses these roles.
        """
        if not self._template_knows_tools:
            messages, tools = plain_messages(messages, tools), ()
        text = self._render(messages, tools, prompt=True)
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, tokens: Sequence[int]) -> str:
        """Text of tokens, without special tokens."""
        return self._tokenizer.decode(list(tokens), skip_special_tokens=True)

    def end_tokens(self) -> set[int]:
        """The tokens that end an answer: the tokenizer's, and the one after an assistant's turn.

        Some models are saved with an end-of-text token only, while their template ends a turn
        with another one; without it they would talk on as the user.
        """
        ends = {token for token in (self._wrapper.eos_token_id,) if isinstance(token, int)}
        if self._wrapper.chat_template is None:
            return ends
        turn = [*_TURN, {"role": "assistant", "content": _PROBE}]
        try:
            after = self._render(turn, prompt=False).rpartition(_PROBE)[2]
        except BadRequestError:
            return ends
        tokens = self._tokenizer.encode(after, add_special_tokens=False).ids
        special = self._tokenizer.get_added_tokens_decoder()
        return ends | {token for token in tokens[:1] if token in special}

    def _probe_tools(self) -> bool:
        """Whether a tool changes what the chat template makes of a turn."""
        try:
            with_tool = self._render(_TURN, [_PROBE_TOOL], prompt=True)
            return with_tool != self._render(_TURN, prompt=True)
        except BadRequestError:
            return False

    def _render(
        self, messages: Sequence[Message], tools: Sequence[Message] = (), *, prompt: bool
    ) -> str:
        if self._wrapper.chat_template is None:
            raise BadRequestError(
                "The base model has no chat template. Use /v1/completions instead."
            )
        try:
            text = self._wrapper.apply_chat_template(
                [dict(message) for message in messages],  # pyright: ignore[reportArgumentType]
                tools=[dict(tool) for tool in tools] or None,
                tokenize=False,
                add_generation_prompt=prompt,
            )
        except (TemplateError, TypeError, ValueError) as error:
            # What the template says may quote a message, so it stays out of the answer.
            raise BadRequestError(
                "The chat template of the base model refuses these messages. Begin with system or "
                "user, then let user and assistant take turns."
            ) from error
        assert isinstance(text, str)
        return text
