"""Folders with a real tokenizer of one token per byte, and with any chat template."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE

#: The end of a turn, and of a text.
END = "<|end|>"
PLAIN = (
    "{% for message in messages %}<{{ message.role }}>{{ message.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def write_tokenizer(
    folder: Path, template: object = PLAIN, *, tokens: tuple[str, ...] = (), bos: str | None = None
) -> Path:
    """Write the tokenizer files of a base model.

    Args:
        folder: takes them.
        template: its chat template, or what else the configuration says there; None for none.
        tokens: more special tokens.
        bos: what comes before a text in templates that ask for it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate(alphabet)}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([END, *tokens, *([bos] if bos else [])])
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {"eos_token": END} | ({"bos_token": bos} if bos else {})
    if template is not None:
        config["chat_template"] = template
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return folder
