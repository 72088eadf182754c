"""Workers are asked what they can, by their own command."""

import asyncio
import sys
from importlib.util import find_spec

import psutil
import pytest

from adaptery.abilities import ABILITIES, met_needs, needed_abilities, needs_text, required
from adaptery.schemas.spec import OptimSpec
from adaptery_network.agent.abilities import ask_abilities, read_abilities
from adaptery_network.agent.config import AgentConfig
from support.waiting import eventually


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-c", program)


async def test_our_worker_says_what_it_can(tmp_path):
    command = AgentConfig(state_dir=tmp_path).worker_command
    found = await ask_abilities(command, 1)
    assert found <= ABILITIES.keys()
    if find_spec("bitsandbytes") is None:
        assert not found & {"8bit", "4bit"}


@pytest.mark.parametrize(
    "command",
    [
        python("import sys; print('[\"4bit\"]'); sys.exit(2)"),
        python("print('no JSON')"),
        ("/no/such/worker",),
    ],
)
async def test_who_does_not_answer_can_what_is_usual(command):
    assert await ask_abilities(command, 1) == frozenset()


@pytest.mark.parametrize(
    ("output", "abilities"),
    [
        (b'["4bit", "8bit"]\n', {"4bit", "8bit"}),
        (b'a library talks\n["fp16", "flies"]\nand talks\n', {"fp16"}),
        (b"[]", set()),
        (b"", None),
        (b'{"4bit": 1}', None),
        (b'[["4bit"]]', None),
    ],
)
def test_an_answer_is_a_list_among_whatever_is_said(output, abilities):
    assert read_abilities(output) == abilities


async def test_an_agent_that_ends_leaves_nobody_who_was_asked():
    def asked():
        return psutil.Process().children(recursive=True)

    before = asked()
    asking = asyncio.create_task(ask_abilities(python("import time; time.sleep(600)"), 1))
    await eventually(lambda: len(asked()) > len(before))
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert asked() == before


def test_a_spec_asks_for_abilities_by_the_names_of_its_values():
    assert needed_abilities(dict(OptimSpec())) == {}
    asked = OptimSpec(precision="fp16", quantization="4bit", attention="flash")
    needed = needed_abilities(dict(asked))
    assert needed == {"precision": "fp16", "quantization": "4bit", "attention": "flash"}
    assert required(needed.values()) == "a GPU and bitsandbytes and flash-attn"


def test_whoever_has_abilities_meets_every_need_made_of_them():
    assert needs_text({"fp16", "4bit"}) == "4bit fp16"
    assert set(met_needs({"fp16", "4bit"})) == {"", "4bit", "fp16", "4bit fp16"}
    assert list(met_needs(())) == [""]
    assert len(set(met_needs(ABILITIES))) == 2 ** len(ABILITIES)
