"""Writes a tiny Llama as a quantised GGUF file, as the converter of llama.cpp would."""

from pathlib import Path

from tiny.models import CHAT_TEMPLATE, CONTEXT_TOKENS, SPECIAL_TOKENS, build_tiny_tokenizer

#: Names in GGUF, by names in transformers. Source: gguf ``tensor_mapping.py``.
_LAYER_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_CONTROL, _NORMAL = 3, 1  # kinds of token in GGUF


def write_tiny_gguf(path: Path, base: Path) -> Path:
    """Quantise the tiny Llama in ``base`` to 8 bits, into ``path``."""
    from gguf import GGMLQuantizationType, GGUFWriter
    from gguf.quants import quantize
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base)
    config = model.config
    writer = GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT_TOKENS)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    _add_tokenizer(writer)
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            continue  # tied
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
        linear = name.split(".")[-2]
        values = tensor.float().numpy()
        if linear in heads:
            values = _interleave(values, heads[linear])
        if values.ndim == 1:
            writer.add_tensor(_gguf_name(name), values)
            continue
        kind = GGMLQuantizationType.Q8_0
        writer.add_tensor(_gguf_name(name), quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add_tokenizer(writer) -> None:
    tokenizer = build_tiny_tokenizer()
    tokens = tokenizer.convert_ids_to_tokens(range(len(tokenizer)))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("smollm")
    writer.add_token_list(tokens)
    writer.add_token_types([_CONTROL if token in SPECIAL_TOKENS else _NORMAL for token in tokens])
    writer.add_token_scores(
        [0.0] * len(tokens)
    )  # there are no merges; readers want one or the other
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(0)
    writer.add_chat_template(CHAT_TEMPLATE)


def _gguf_name(name: str) -> str:
    if name == "model.embed_tokens.weight":
        return "token_embd.weight"
    if name == "model.norm.weight":
        return "output_norm.weight"
    _, _, layer, *rest, suffix = name.split(".")
    return f"blk.{layer}.{_LAYER_NAMES['.'.join(rest)]}.{suffix}"


def _interleave(weights, heads: int):
    """llama.cpp turns neighbouring values of a head together, transformers its two halves."""
    size, inputs = weights.shape
    halves = weights.reshape(heads, 2, size // heads // 2, inputs)
    return halves.swapaxes(1, 2).reshape(size, inputs)
