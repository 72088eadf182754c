"""The Keys widget in a real kernel: a new secret arrives at the view and is saved nowhere."""

import json
import os
from pathlib import Path

from adaptery.key_secrets import is_well_formed
from support.notebooks import page_of, running_notebook
from support.served_adapters import BASE_MODELS, add_adapter
from support.service import running_service

SHOWN = 'from adaptery_widgets import Keys\nshown = Keys("@demo/soap@1")\ndisplay(shown)'


async def test_a_secret_travels_in_a_message_and_is_saved_nowhere(tmp_path: Path) -> None:
    async with running_service(tmp_path / "state", base_models=BASE_MODELS) as service:
        demo = service.client("demo", token="token-of-demo")
        await add_adapter(service, demo)
        env = os.environ | {"ADAPTERY_URL": service.url, "JUPYTERHUB_API_TOKEN": "token-of-demo"}
        async with running_notebook(env) as notebook:
            await notebook.run(SHOWN)
            async with page_of(notebook) as page:
                page.say("Keys", id="start", kind="ask", verb="view.start", args={})
                assert await page.answer("start") == {"adapter": "@demo/soap@1"}
                wanted = {"name": "pipeline", "adapters": ["@demo/soap@1"]}
                page.say("Keys", id="made", kind="ask", verb="keys.create", args=wanted)
                made = await page.answer("made")
                args = {"key": made["id"]}
                page.say("Keys", id="rotated", kind="ask", verb="keys.rotate", args=args)
                rotated = await page.answer("rotated")
                page.say("Keys", id="listed", kind="ask", verb="keys.list", args={})
                listed = await page.answer("listed")
            secrets = [made["secret"], rotated["secret"]]
            assert all(is_well_formed(secret) for secret in secrets)
            kept = [notebook.saved(), json.dumps(listed)]
            for secret in secrets:
                assert not [text for text in kept if secret[7:] in text]
