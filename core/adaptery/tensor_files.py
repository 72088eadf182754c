"""Reads safetensors files without torch: what they hold, and digests of it.

For: digests of base models and adapters, and checking files that came from elsewhere. It never
loads weights into memory; it reads the header, then hashes the bytes in pieces.

What always holds: a header is believed only if its tensors lie side by side, without overlap or
gap, and fill the file exactly; the size of each tensor follows from its dtype and shape.

Source: safetensors format description, https://github.com/huggingface/safetensors#format.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from adaptery.canonical import canonical_json
from adaptery.digests import sha256_bytes
from adaptery.errors import InvalidInputError

__all__ = ["HashedTensor", "Tensor", "hash_tensors", "read_tensors", "tensors_digest"]

HEADER_LIMIT_BYTES = 100_000_000  # the format's own limit
CHUNK_BYTES = 1024 * 1024
DIMENSIONS_LIMIT = 8  # of one tensor
_LENGTH_BYTES = 8  # little-endian length of the header

_DTYPE_BYTES = {
    **dict.fromkeys(("F64", "I64", "U64"), 8),
    **dict.fromkeys(("F32", "I32", "U32"), 4),
    **dict.fromkeys(("F16", "BF16", "I16", "U16"), 2),
    **dict.fromkeys(("I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2"), 1),
}


@dataclass(frozen=True)
class Tensor:
    """One entry of a header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    #: Bytes from the start of the file.
    start: int
    end: int


@dataclass(frozen=True)
class HashedTensor:
    """A tensor and what its bytes are."""

    tensor: Tensor
    digest: str
    #: Whether every byte of it is zero.
    zero: bool


def _broken(path: Path, reason: str) -> InvalidInputError:
    return InvalidInputError(f"{path.name} is not a sound safetensors file: {reason}.")


def _header(
    path: Path, stream: BinaryIO, size: int, limit_bytes: int
) -> tuple[dict[str, object], int]:
    length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
    if size < _LENGTH_BYTES or length > min(size - _LENGTH_BYTES, limit_bytes):
        raise _broken(path, "its header does not fit")
    try:
        header: object = json.loads(stream.read(length).decode("utf-8"))
    except (ValueError, RecursionError):
        raise _broken(path, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _broken(path, "its header is not a JSON object")
    return cast("dict[str, object]", header), _LENGTH_BYTES + length


def _whole_numbers(value: object, limit: int) -> tuple[int, ...] | None:
    """Return a short list of numbers up to a limit; others only cost time to multiply."""
    items = cast("list[object]", value) if isinstance(value, list) else None
    if items is None or len(items) > DIMENSIONS_LIMIT:
        return None
    numbers = tuple(n for n in items if type(n) is int and 0 <= n <= limit)  # bool is no number
    return numbers if len(numbers) == len(items) else None


def _tensor(path: Path, name: str, value: object, base: int, size: int) -> Tensor:
    fields = cast("dict[str, object]", value) if isinstance(value, dict) else {}
    dtype = fields.get("dtype")
    shape, offsets = (_whole_numbers(fields.get(k), size) for k in ("shape", "data_offsets"))
    if not isinstance(dtype, str) or dtype not in _DTYPE_BYTES:
        raise _broken(path, "a tensor has a type that is not known")
    if shape is None or offsets is None or len(offsets) != 2:
        raise _broken(path, "a tensor has no shape or place")
    start, end = offsets
    if end - start != math.prod(shape) * _DTYPE_BYTES[dtype]:
        raise _broken(path, "the size of a tensor does not follow from its shape")
    return Tensor(name, dtype, shape, base + start, base + end)


def read_tensors(path: Path, *, header_limit_bytes: int = HEADER_LIMIT_BYTES) -> list[Tensor]:
    """Return the tensors of a file in the order of their bytes.

    Args:
        path: the file.
        header_limit_bytes: a longer header is refused.

    Raises:
        InvalidInputError: if the file is not a sound safetensors file.
        OSError: if it cannot be read.
    """
    size = path.stat().st_size
    with path.open("rb") as stream:
        header, base = _header(path, stream, size, header_limit_bytes)
    header.pop("__metadata__", None)
    tensors = [_tensor(path, name, value, base, size) for name, value in header.items()]
    tensors.sort(key=lambda tensor: (tensor.start, tensor.end))
    position = base
    for tensor in tensors:
        if tensor.start != position:
            raise _broken(path, "its tensors overlap or leave gaps")
        position = tensor.end
    if position != size:
        raise _broken(path, "it is cut off, or longer than its tensors")
    return tensors


def _hashed(stream: BinaryIO, tensor: Tensor) -> HashedTensor:
    stream.seek(tensor.start)
    hasher, zero, left = hashlib.sha256(), True, tensor.end - tensor.start
    while left:
        chunk = stream.read(min(left, CHUNK_BYTES))
        hasher.update(chunk)
        zero = zero and chunk.count(0) == len(chunk)
        left -= len(chunk)
    return HashedTensor(tensor, f"sha256:{hasher.hexdigest()}", zero)


def hash_tensors(path: Path, *, header_limit_bytes: int = HEADER_LIMIT_BYTES) -> list[HashedTensor]:
    """Return the tensors of a file with the digests of their bytes.

    Args:
        path: the file.
        header_limit_bytes: a longer header is refused.

    Raises:
        InvalidInputError: if the file is not a sound safetensors file.
        OSError: if it cannot be read.
    """
    tensors = read_tensors(path, header_limit_bytes=header_limit_bytes)
    with path.open("rb") as stream:
        return [_hashed(stream, tensor) for tensor in tensors]


def tensors_digest(tensors: Iterable[HashedTensor], extra: Sequence[object] = ()) -> str:
    """Return the digest of tensors, whatever files they are spread over and in whatever order.

    Args:
        tensors: from one or more files.
        extra: further JSON that decides what the weights do, such as the scaling of an adapter.

    Raises:
        InvalidInputError: if two tensors have one name, or there are none.
    """
    entries = sorted(
        [entry.tensor.name, entry.tensor.dtype, list(entry.tensor.shape), entry.digest]
        for entry in tensors
    )
    if not entries:
        raise InvalidInputError("There are no tensors.")
    if len({str(entry[0]) for entry in entries}) < len(entries):
        raise InvalidInputError("Two tensors have the same name.")
    return sha256_bytes(canonical_json([entries, *extra] if extra else entries))
