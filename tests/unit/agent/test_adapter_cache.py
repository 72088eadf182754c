import pytest

from adaptery.errors import IntegrityError, InvalidInputError
from adaptery_network.agent.adapter_cache import AdapterCache
from adaptery_network.agent.folders import digest_name, folder_bytes
from support.agent_side.folders import make_adapter


@pytest.fixture
def made(tmp_path):
    return {
        value: (tmp_path / f"made-{value}", make_adapter(tmp_path / f"made-{value}", value))
        for value in (1, 2, 3)
    }


def test_an_adapter_is_found_by_its_digest_once_it_is_admitted(tmp_path, made):
    cache = AdapterCache(tmp_path / "cache", 10**6)
    folder, digest = made[1]
    assert cache.find(digest) is None
    place = cache.admit_copy(folder, digest)
    assert cache.find(digest) == place == tmp_path / "cache" / digest_name(digest)
    assert (place / "adapter_model.safetensors").exists()
    assert folder.exists()
    assert cache.admit_copy(folder, digest) == place


def test_other_weights_than_those_named_are_refused_and_nothing_stays(tmp_path, made):
    cache = AdapterCache(tmp_path / "cache", 10**6)
    with pytest.raises(IntegrityError):
        cache.admit_copy(made[1][0], made[2][1])
    (cache.staging(made[1][1]) / "adapter_model.bin").write_bytes(b"pickle")
    with pytest.raises(InvalidInputError):
        cache.admit(made[1][1])
    assert cache.find(made[1][1]) is None
    assert cache.find(made[2][1]) is None


def test_the_least_recently_used_goes_first_and_what_is_kept_stays(tmp_path, made):
    limit = 2 * folder_bytes(made[1][0])
    cache = AdapterCache(tmp_path / "cache", limit)
    for value in (1, 2):
        cache.admit_copy(*made[value])
    cache.find(made[1][1])
    cache.admit_copy(*made[3])
    assert cache.find(made[2][1]) is None
    assert cache.find(made[1][1])
    cache.find(made[3][1])
    cache.admit_copy(*made[2], keep={made[1][1]})
    assert cache.find(made[3][1]) is None
    assert cache.find(made[1][1])
    assert cache.find(made[2][1])


@pytest.mark.parametrize("digest", ["../../etc", "sha256:../x", "", "sha256:" + "A" * 64])
def test_a_digest_never_becomes_a_path(tmp_path, digest):
    with pytest.raises(InvalidInputError):
        AdapterCache(tmp_path, 1).find(digest)
