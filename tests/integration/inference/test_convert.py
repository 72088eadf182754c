"""A base model folder appears whole, once, and keeps its digest."""

import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from adaptery.base_models import read_base_model, weight_digest
from adaptery.errors import ConflictError, InvalidInputError, NotFoundError
from adaptery_inference.build import BuiltEngine
from adaptery_inference.config import ConvertConfig
from adaptery_inference.convert import convert
from tiny import write_tiny_gguf


def config(source: Path, out: Path, name: str = "tiny/base") -> ConvertConfig:
    return ConvertConfig(source=str(source), name=name, out=out)


def test_a_folder_of_safetensors_keeps_its_digest(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "tiny"
    info = convert(config(base, out))
    assert info.weight_digest == weight_digest(base) == weight_digest(out)
    assert read_base_model(out) == info
    assert {path.name for path in out.parent.iterdir()} == {"tiny", ".tiny.converting"}


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_gguf_file_becomes_the_same_model_dequantised(
    as_folder: bool, base: Path, build: Callable[..., BuiltEngine], tmp_path: Path
) -> None:
    (tmp_path / "gguf").mkdir()
    source = write_tiny_gguf(tmp_path / "gguf" / "tiny.gguf", base)
    out = tmp_path / "tiny"
    info = convert(config(source.parent if as_folder else source, out))
    assert info.weight_digest == weight_digest(out) != weight_digest(base)
    assert {stat.S_IMODE(path.stat().st_mode) for path in out.iterdir()} == {0o644}
    assert "gguf" not in (out / "config.json").read_text()
    before, after = (load_file(folder / "model.safetensors") for folder in (base, out))
    assert before.keys() == after.keys()
    for name, tensor in after.items():
        assert tensor.dtype is torch.bfloat16
        torch.testing.assert_close(tensor.float(), before[name], rtol=0.02, atol=0.01)
    engines = build(), build(model=out)
    hello = [{"role": "user", "content": "Hé 🙂"}]
    first, second = (engine.tokenizer for engine in engines)
    assert first.encode_chat(hello) == second.encode_chat(hello)
    assert first.end_tokens() == second.end_tokens() == {2}


def test_converting_again_does_nothing_and_needs_no_source(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    info = convert(config(base, out))
    before = out.stat().st_mtime_ns
    assert convert(config(tmp_path / "gone", out)) == info
    assert out.stat().st_mtime_ns == before


def test_two_at_once_make_one(base: Path, tmp_path: Path) -> None:
    out = tmp_path / "tiny"
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(convert(config(base, out)).weight_digest))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1


def test_what_a_killed_conversion_left_is_replaced(base: Path, tmp_path: Path) -> None:
    leftover = tmp_path / ".tiny.tmp"
    leftover.mkdir()
    (leftover / "model.safetensors").write_bytes(b"half")
    convert(config(base, tmp_path / "tiny"))
    assert not leftover.exists()


def test_another_folder_is_never_overwritten(base: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConflictError, match="photos"):
        convert(config(base, tmp_path / "photos"))
    convert(config(base, tmp_path / "tiny"))
    with pytest.raises(ConflictError, match="other/name"):
        convert(config(base, tmp_path / "tiny", name="other/name"))


def test_code_and_pickles_are_left_behind(base: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for path in base.iterdir():
        (source / path.name).write_bytes(path.read_bytes())
    (source / "modeling_evil.py").write_text("raise SystemExit")
    (source / "pytorch_model.bin").write_bytes(b"pickle")
    convert(config(source, tmp_path / "tiny"))
    kept = {path.suffix for path in (tmp_path / "tiny").iterdir()}
    assert kept == {".json", ".jinja", ".safetensors"}


def test_a_source_that_is_none_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        convert(config(tmp_path / "nowhere", tmp_path / "out"))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InvalidInputError):
        convert(config(empty, tmp_path / "out"))
    assert not (tmp_path / "out").exists()
