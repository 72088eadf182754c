import pytest

from adaptery.errors import InvalidInputError
from adaptery_inference.models.spec import RopeSpec, parse_model_spec

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "eos_token_id": 2,
}


def spec(generation: dict | None = None, **changes: object):
    return parse_model_spec({**LLAMA, **changes}, generation or {})


def test_what_a_config_leaves_out_has_the_family_defaults() -> None:
    found = spec()
    assert (found.kv_heads, found.head_dim) == (4, 16)
    assert found.rope == RopeSpec(theta=10000.0)
    assert (found.qkv_bias, found.qk_norm, found.tied_head) == (False, False, False)


def test_families_differ_in_bias_and_norms() -> None:
    assert spec(architectures=["Qwen2ForCausalLM"]).qkv_bias
    assert not spec(architectures=["Qwen2ForCausalLM"]).output_bias
    assert spec(architectures=["Qwen3ForCausalLM"]).qk_norm
    assert spec(attention_bias=True).output_bias


def test_old_and_new_rope_fields_mean_the_same() -> None:
    llama3 = {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 256,
    }
    old = spec(rope_theta=5e5, rope_scaling=llama3)
    assert old.rope == spec(rope_parameters={**llama3, "rope_theta": 5e5}).rope
    assert old.rope.theta == 5e5


def test_end_tokens_come_from_both_files() -> None:
    assert spec({"eos_token_id": [7, 3]}).eos_tokens == (2, 3, 7)


def test_a_sliding_window_bounds_the_context() -> None:
    assert spec(sliding_window=128).context_tokens == 128
    assert spec(sliding_window=128, use_sliding_window=False).context_tokens == 512


def test_a_token_costs_keys_and_values_of_all_layers() -> None:
    assert spec(num_key_value_heads=2).kv_bytes_per_token(4) == 2 * 2 * 2 * 16 * 4


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"architectures": ["GPT2LMHeadModel"]}, "GPT2LMHeadModel"),
        ({"architectures": None}, "architecture"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"quantization_config": {"bits": 4}}, "quantised"),
        ({"vocab_size": None}, "vocab_size"),
        ({"rope_parameters": {"rope_type": "yarn"}}, "yarn"),
    ],
)
def test_what_cannot_be_computed_is_refused(changes: dict, reason: str) -> None:
    with pytest.raises(InvalidInputError, match=reason):
        spec(**changes)
