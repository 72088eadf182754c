"""An adapter is chatted with in the chat template that it was trained with."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx

from adaptery_inference.build import BuiltEngine
from support.engine import Reference

HELLO = [{"role": "user", "content": "Hello"}]


def trained_with(folder: Path, adapter: Path, card: object) -> dict[str, str]:
    """Copy an adapter, with a card; return the request that loads it."""
    shutil.copytree(adapter, folder)
    (folder / "card.json").write_text(json.dumps(card))
    return {"lora_name": folder.name, "lora_path": str(folder)}


async def test_a_chat_is_rendered_as_the_adapter_learnt_it(
    client: httpx.AsyncClient,
    adapters: dict[str, Path],
    reference: Reference,
    build: Callable[..., BuiltEngine],
    tmp_path: Path,
) -> None:
    tokenizer = build().tokenizer
    for template in ("vicuna", "model"):
        card = {"spec": {"template": template}}
        loading = trained_with(tmp_path / template, adapters["plain"], card)
        answer = await client.post("/v1/load_lora_adapter", json=loading)
        assert answer.status_code == 200, answer.text
        asked = {"model": template, "messages": HELLO, "temperature": 0, "max_tokens": 8}
        told = (await client.post("/v1/chat/completions", json=asked)).json()
        prompt = tokenizer.encode_chat(HELLO, (), template)
        wanted = reference.greedy(prompt, 8, "plain")
        assert told["usage"]["prompt_tokens"] == len(prompt)
        assert told["choices"][0]["message"]["content"] == tokenizer.decode(wanted)
    plain = tokenizer.encode_chat(HELLO)
    assert tokenizer.encode_chat(HELLO, (), "vicuna") != plain == prompt


async def test_an_adapter_whose_template_does_not_fit_is_not_served(
    client: httpx.AsyncClient, adapters: dict[str, Path], tmp_path: Path
) -> None:
    for template in ("llama3", "../../secret"):
        name = template.replace("/", "_")
        card = {"spec": {"template": template}}
        loading = trained_with(tmp_path / name, adapters["plain"], card)
        answer = await client.post("/v1/load_lora_adapter", json=loading)
        assert answer.status_code == 422, answer.text
        assert "template that does not fit" in answer.json()["error"]["message"]
