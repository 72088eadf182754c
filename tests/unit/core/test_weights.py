"""Base models, adapter folders and the safetensors files in them."""

import json
import struct

import pytest

from adaptery.adapter_folders import HEAD_NAME, inspect_adapter
from adaptery.base_models import (
    BaseModelInfo,
    locate,
    read_base_model,
    weight_digest,
    write_base_model,
)
from adaptery.digests import sha256_bytes
from adaptery.errors import InvalidInputError, NotFoundError
from adaptery.tensor_files import read_tensors

MODULE = "base_model.model.model.layers.0.self_attn.q_proj"
CONFIG = {
    "peft_type": "LORA",
    "task_type": "CAUSAL_LM",
    "base_model_name_or_path": "tiny",
    "r": 2,
    "lora_alpha": 4,
    "bias": "none",
    "target_modules": ["q_proj"],
}


def floats(*values):
    return struct.pack(f"<{len(values)}f", *values)


def safetensors(tensors, metadata=None):
    """Return a safetensors file; tensors: name -> (dtype, shape, bytes)."""
    header, data = ({} if metadata is None else {"__metadata__": metadata}), b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {
            "dtype": dtype,
            "shape": shape,
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


ONE = {"a": ("F32", [2], floats(1, 2)), "b": ("BF16", [1, 2], b"abcd")}


def test_the_weight_digest_does_not_depend_on_how_the_files_are_cut(tmp_path):
    whole, parts, changed = (tmp_path / name for name in ("whole", "parts", "changed"))
    for folder in (whole, parts, changed):
        folder.mkdir()
    (whole / "model.safetensors").write_bytes(safetensors(ONE, {"format": "pt"}))
    (parts / "2.safetensors").write_bytes(safetensors({"a": ONE["a"]}))
    (parts / "1.safetensors").write_bytes(safetensors({"b": ONE["b"]}))
    (changed / "m.safetensors").write_bytes(safetensors({**ONE, "b": ("F16", [1, 2], b"abcd")}))
    assert weight_digest(whole) == weight_digest(parts) != weight_digest(changed)


def test_a_tensor_in_two_files_is_refused(tmp_path):
    for name in ("1", "2"):
        (tmp_path / f"{name}.safetensors").write_bytes(safetensors(ONE))
    with pytest.raises(InvalidInputError, match="same name"):
        weight_digest(tmp_path)


SOUND = safetensors(ONE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80\x02}q\x00.",  # a pickle
        SOUND[:-1],
        SOUND + b"x",
        (2**60).to_bytes(8, "little") + SOUND[8:],
        (5).to_bytes(8, "little") + b"[1,2]",
        safetensors({"a": ("F99", [2], floats(1, 2))}),
        safetensors({"a": ("F32", [3], floats(1, 2))}),
        safetensors({"a": ("F32", [-2], floats(1, 2))}),
        safetensors({"a": ("F32", [True, 2], floats(1, 2))}),
        SOUND.replace(b"[8, 12]", b"[4, 08]"),
        SOUND.replace(b"[8, 12]", b"[4, 8] "),
    ],
)
def test_files_that_are_not_sound_are_refused(tmp_path, data):
    path = tmp_path / "m.safetensors"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match="sound"):
        read_tensors(path)


def test_a_base_model_says_what_it_is(tmp_path):
    info = BaseModelInfo(name="tiny", weight_digest=sha256_bytes(b""), source="/models/tiny")
    with pytest.raises(NotFoundError, match="converted"):
        read_base_model(tmp_path)
    write_base_model(tmp_path, info)
    assert read_base_model(tmp_path) == info
    (tmp_path / "base_model.json").write_text('{"name": "x"}')
    with pytest.raises(InvalidInputError):
        read_base_model(tmp_path)


def test_where_a_base_model_is(tmp_path, monkeypatch):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InvalidInputError, match="no model"):
        locate(str(folder))
    (folder / "m.gguf").write_bytes(b"GGUF")
    assert locate(str(folder)) == locate(str(folder / "m.gguf")) == folder / "m.gguf"
    (folder / "n.gguf").write_bytes(b"GGUF")
    with pytest.raises(InvalidInputError, match="several"):
        locate(str(folder))
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(SOUND)
    assert locate(str(folder)) == folder
    with pytest.raises(InvalidInputError, match="gguf"):
        locate(str(folder / "config.json"))
    with pytest.raises(NotFoundError):
        locate(str(tmp_path / "missing"))

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(NotFoundError, match="nothing is downloaded"):
        locate("hf:org/name")
    repository = tmp_path / "cache" / "models--org--name"
    snapshot = repository / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc123")
    (snapshot / "m.gguf").write_bytes(b"GGUF")
    assert locate("hf:org/name") == locate("hf:org/name@abc123") == snapshot / "m.gguf"
    for source in ("hf:name", "hf:../x", "hf:org/name@../.."):
        with pytest.raises((InvalidInputError, NotFoundError)):
            locate(source)


A, B = f"{MODULE}.lora_A.weight", f"{MODULE}.lora_B.weight"
TENSORS = {A: ("F32", [2, 3], floats(*[1] * 6)), B: ("F32", [4, 2], floats(*[0] * 7, 1))}


@pytest.fixture
def adapter(tmp_path):
    def make(config=None, tensors=None):
        folder = tmp_path / "adapter"
        folder.mkdir(exist_ok=True)
        (folder / "adapter_config.json").write_text(json.dumps({**CONFIG, **(config or {})}))
        weights = safetensors(TENSORS if tensors is None else tensors)
        (folder / "adapter_model.safetensors").write_bytes(weights)
        return folder

    return make


def test_a_plain_adapter_passes(adapter):
    info = inspect_adapter(adapter())
    assert (info.rank, info.alpha, info.targets, info.base_model_name) == (
        2,
        4.0,
        ("q_proj",),
        "tiny",
    )
    assert info.bytes > 100


def test_the_digest_covers_weights_and_scaling_and_nothing_else(adapter):
    digest = inspect_adapter(adapter()).weight_digest
    assert inspect_adapter(adapter({"base_model_name_or_path": "/x"})).weight_digest == digest
    spelt_out = {"use_rslora": False, "rank_pattern": {}, "alpha_pattern": {}}
    assert inspect_adapter(adapter(spelt_out)).weight_digest == digest
    assert inspect_adapter(adapter({"lora_alpha": 8})).weight_digest != digest
    assert inspect_adapter(adapter({"use_rslora": True})).weight_digest != digest
    more = {**TENSORS, A: ("F32", [2, 3], floats(*[2] * 6))}
    assert inspect_adapter(adapter(tensors=more)).weight_digest != digest


@pytest.mark.parametrize(
    "config",
    [
        {"peft_type": "LOHA"},
        {"use_dora": True},
        {"lora_bias": True},
        {"bias": "all"},
        {"modules_to_save": ["lm_head"]},
        {"layer_replication": [[0, 1]]},
        {"trainable_token_indices": [1]},
        {"r": 4},
        {"r": "2"},
        {"lora_alpha": None},
        {"lora_alpha": True},
        {"rank_pattern": [2]},
        {"init_lora_weights": "pissa"},
    ],
)
def test_what_is_not_plain_lora_is_refused(adapter, config):
    with pytest.raises(InvalidInputError, match="cannot be used"):
        inspect_adapter(adapter(config))


@pytest.mark.parametrize(
    "tensors",
    [
        {},
        {A: TENSORS[A]},
        {**TENSORS, B: ("F32", [4, 2], floats(*[0] * 8))},
        {**TENSORS, B: ("F32", [8, 1], floats(*[1] * 8))},
        {**TENSORS, "lm_head.weight": ("F32", [1], floats(1))},
        {**TENSORS, A: ("I32", [2, 3], floats(*[1] * 6))},
        {**TENSORS, f"{MODULE}.lora_A.default.weight": TENSORS[A]},
        {"base_model.model.../x.lora_A.weight": TENSORS[A]},
    ],
)
def test_what_does_not_change_a_model_cleanly_is_refused(adapter, tensors):
    with pytest.raises(InvalidInputError, match="cannot be used"):
        inspect_adapter(adapter(tensors=tensors))


REWARD = {"task_type": "SEQ_CLS", "modules_to_save": ["classifier", "score"]}
HEADED = {**TENSORS, HEAD_NAME: ("F32", [1, 3], floats(1, 2, 3))}


def test_a_reward_adapter_has_one_head(adapter):
    info = inspect_adapter(adapter(REWARD, HEADED))
    assert (info.kind, info.rank, info.targets) == ("reward", 2, ("q_proj",))
    other = {**HEADED, HEAD_NAME: ("F32", [1, 3], floats(1, 2, 4))}
    assert inspect_adapter(adapter(REWARD, other)).weight_digest != info.weight_digest


@pytest.mark.parametrize(
    ("config", "tensors"),
    [
        (REWARD, TENSORS),
        (None, HEADED),
        ({"modules_to_save": ["score"]}, HEADED),
        ({**REWARD, "modules_to_save": ["score", "lm_head"]}, HEADED),
        (REWARD, {**TENSORS, HEAD_NAME: ("F32", [2, 3], floats(*[1] * 6))}),
        (REWARD, {**TENSORS, HEAD_NAME: ("F32", [3], floats(1, 2, 3))}),
        (REWARD, {**TENSORS, HEAD_NAME: ("I32", [1, 3], floats(1, 2, 3))}),
        (REWARD, {**HEADED, "base_model.model.classifier.weight": HEADED[HEAD_NAME]}),
    ],
)
def test_another_head_is_refused(adapter, config, tensors):
    with pytest.raises(InvalidInputError, match="cannot be used"):
        inspect_adapter(adapter(config, tensors))


@pytest.mark.parametrize("name", ["adapter_model.bin", "training_args.pt", "x.py", ".hidden"])
def test_a_folder_with_more_than_an_adapter_is_refused(adapter, name):
    folder = adapter()
    (folder / name).write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(InvalidInputError, match="more than an adapter"):
        inspect_adapter(folder)


def test_links_and_missing_files_are_refused(adapter):
    folder = adapter()
    (folder / "README.md").symlink_to("/etc/hostname")
    with pytest.raises(InvalidInputError, match="more than"):
        inspect_adapter(folder)
    (folder / "README.md").unlink()
    (folder / "adapter_config.json").write_text("[")
    with pytest.raises(InvalidInputError, match="not JSON"):
        inspect_adapter(folder)
    (folder / "adapter_config.json").unlink()
    with pytest.raises(InvalidInputError, match="missing"):
        inspect_adapter(folder)
