"""Files that are encrypted at rest: they come back whole, or not at all."""

from __future__ import annotations

import io
import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adaptery.digests import sha256_bytes
from adaptery.errors import IntegrityError
from adaptery_hub.objects.encryption import (
    CHUNK_BYTES,
    HEADER_BYTES,
    KEY_BYTES,
    TAG_BYTES,
    encrypt,
    encrypt_file,
    open_encrypted,
    plain_size,
)

KEY = bytes(range(KEY_BYTES))
SEALED = CHUNK_BYTES + TAG_BYTES
SIZES = [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 3 * CHUNK_BYTES]


def encrypted(data: bytes) -> bytes:
    target = io.BytesIO()
    encrypt(io.BytesIO(data), target, KEY)
    return target.getvalue()


def opened(data: bytes, key: bytes = KEY) -> bytes:
    with open_encrypted(io.BytesIO(data), key) as stream:
        return stream.read()


@pytest.mark.parametrize("size", SIZES)
def test_what_is_encrypted_comes_back(size: int) -> None:
    data = secrets.token_bytes(size)
    target = io.BytesIO()
    plain = encrypt(io.BytesIO(data), target, KEY)
    assert (plain.bytes, plain.digest) == (size, sha256_bytes(data))
    assert plain_size(len(target.getvalue())) == size
    assert opened(target.getvalue()) == data


@given(st.integers(0, 3 * CHUNK_BYTES), st.integers(0, 70_000))
def test_any_part_can_be_read(offset: int, length: int) -> None:
    data = bytes(range(256)) * (3 * CHUNK_BYTES // 256)
    with open_encrypted(io.BytesIO(encrypted(data)), KEY) as stream:
        stream.seek(offset)
        assert stream.read(length) == data[offset : offset + length]


def test_equal_files_do_not_look_equal() -> None:
    assert encrypted(b"the same") != encrypted(b"the same")


def _damage() -> dict[str, bytes]:
    whole = encrypted(secrets.token_bytes(3 * CHUNK_BYTES))
    head, chunks = (
        whole[:HEADER_BYTES],
        [whole[HEADER_BYTES + at * SEALED : HEADER_BYTES + (at + 1) * SEALED] for at in range(3)],
    )
    flipped = bytearray(whole)
    flipped[HEADER_BYTES + SEALED + 7] ^= 1
    return {
        "a bit is another": bytes(flipped),
        "the last chunk is gone": head + b"".join(chunks[:2]),
        "a chunk is gone": head + chunks[0] + chunks[2],
        "chunks changed places": head + chunks[1] + chunks[0] + chunks[2],
        "a chunk is there twice": head + b"".join([chunks[0], *chunks]),
        "it is cut within a chunk": whole[:-5],
        "it is cut within a tag": head + chunks[0] + chunks[1][:9],
        "it is cut within the header": whole[:20],
        "it is empty": b"",
        "the header alone": head,
        "another magic": b"ADPTFIL2" + whole[8:],
        "another salt": whole[:8] + bytes(32) + whole[40:],
    }


@pytest.mark.parametrize("case", list(_damage()))
def test_what_was_changed_is_refused(case: str) -> None:
    with pytest.raises(IntegrityError):
        opened(_damage()[case])


def test_another_key_opens_nothing() -> None:
    with pytest.raises(IntegrityError):
        opened(encrypted(b"secret"), bytes(KEY_BYTES))


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path) -> None:
    path = tmp_path / "data.parquet"
    path.write_bytes(b"records")
    plain = encrypt_file(path, path, KEY)
    assert b"records" not in path.read_bytes()
    assert opened(path.read_bytes()) == b"records"
    assert plain.bytes == 7
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.parquet"]
