"""Builds tiny base models of the Llama family, and their byte-level tokenizer."""

from pathlib import Path

SPECIAL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CONTEXT_TOKENS = 512
#: Wide enough that the logits of a random model differ clearly, so that greedy tests are stable.
INITIALIZER_RANGE = 0.15
#: What each family has of its own: Llama none, Qwen2 a bias on q/k/v, Qwen3 norms on q/k.
FAMILIES = ("llama", "qwen2", "qwen3", "mistral")


def build_tiny_model(
    folder: Path,
    *,
    family: str = "llama",
    seed: int = 0,
    tied: bool = True,
    context_tokens: int = CONTEXT_TOKENS,
) -> Path:
    """Write a 2-layer fp32 model with a tokenizer into ``folder`` and return it."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = build_tiny_tokenizer()
    config = _config(family, vocab_size=len(tokenizer), tied=tied, context_tokens=context_tokens)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
        for name, parameter in model.named_parameters():
            # Biases and norms are constant after init: random ones show whether they are applied.
            if name.endswith("bias") or "norm" in name:
                parameter.data += 0.1 * torch.randn_like(parameter)
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    model.generation_config = GenerationConfig(bos_token_id=0, eos_token_id=end, pad_token_id=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def build_tiny_tokenizer():
    """One token per byte, and the three special tokens of ChatML."""
    from tokenizers import Tokenizer, decoders, pre_tokenizers
    from tokenizers.models import BPE
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: i for i, token in enumerate([*SPECIAL_TOKENS, *alphabet])}
    tokenizer = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<|endoftext|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        additional_special_tokens=["<|im_start|>"],
        clean_up_tokenization_spaces=False,
        model_max_length=CONTEXT_TOKENS,
    )
    fast.chat_template = CHAT_TEMPLATE
    return fast


def _config(family: str, *, vocab_size: int, tied: bool, context_tokens: int):
    from transformers import AutoConfig

    if family not in FAMILIES:
        raise ValueError(f"no tiny family {family!r}; there are {', '.join(FAMILIES)}")
    fields = {
        "vocab_size": vocab_size,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 16,
        "max_position_embeddings": context_tokens,
        "initializer_range": INITIALIZER_RANGE,
        "tie_word_embeddings": tied,
        "bos_token_id": 0,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }
    if family == "mistral":
        fields["sliding_window"] = None
    return AutoConfig.for_model(family, **fields)
