import asyncio
import json

import pytest

from adaptery.errors import NotFoundError
from adaptery_network.agent.base_models import BaseModels
from adaptery_network.agent.folders import model_slug
from support.agent_side import program
from support.agent_side.specs import BASE_DIGEST


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "behaviour").write_text("finish")
    return folder


CONVERT = program("convert")


def models(tmp_path, source, command=CONVERT):
    return BaseModels({"org/tiny": str(source)}, tmp_path / "models", command, 1)


async def test_two_agents_that_share_a_folder_convert_once(tmp_path, source):
    first, second = models(tmp_path, source), models(tmp_path, source)
    assert first.awaited == ("org/tiny",)
    await asyncio.gather(first.prepare(), second.prepare())
    assert (source / "conversions").read_text() == "converted\n"
    assert first.ready == second.ready and not first.awaited
    found = first.find("org/tiny", BASE_DIGEST)
    assert json.loads((found.folder / "base_model.json").read_text())["name"] == "org/tiny"


async def test_a_name_with_other_weights_is_not_that_model(tmp_path, source):
    known = models(tmp_path, source)
    await known.prepare()
    for name, digest in (("org/tiny", "sha256:" + "0" * 64), ("other", BASE_DIGEST)):
        with pytest.raises(NotFoundError):
            known.find(name, digest)


@pytest.mark.parametrize("command", [CONVERT, ("/nowhere/at/all",)])
async def test_a_model_that_cannot_be_converted_is_left_out_and_logged(tmp_path, caplog, command):
    broken = models(tmp_path, tmp_path / "missing", command)
    await broken.prepare()
    assert broken.ready == () == broken.awaited
    assert broken.failed == ("org/tiny",)
    assert "org/tiny cannot be used" in caplog.text


def test_a_name_becomes_one_folder_name():
    assert model_slug("Org/Model-1.5 b") == "Org--Model-1.5--b"
    assert "/" not in model_slug("../../etc/passwd")
    assert not model_slug("../../etc").startswith(".")
