"""A kernel in a spawned server, driven over its websocket as Lab does it."""

import json
import re
import uuid

from websocket import create_connection

from local_hub import HubUser


class KernelSession:
    """A kernel in a spawned server, driven over its websocket."""

    def __init__(self, user: HubUser) -> None:
        base = f"/user/{user.name}/"
        user.client.get(f"{base}lab")  # the OAuth dance that makes the server's cookies
        xsrf = user.xsrf(base)
        answer = user.client.post(
            f"{base}api/kernels", headers={"X-XSRFToken": xsrf}, json={"name": "python3"}
        )
        assert answer.status_code == 201, answer.text
        kernel_id = answer.json()["id"]
        cookies = "; ".join(
            f"{c.name}={c.value}" for c in user.client.cookies.jar if base.startswith(c.path)
        )
        address = f"ws://127.0.0.1:{user.hub.port}{base}api/kernels/{kernel_id}/channels"
        self._socket = create_connection(address, cookie=cookies, timeout=120)

    def run(self, code: str) -> str:
        """Run code and return what it printed; raise with the traceback if it fails."""
        message_id = uuid.uuid4().hex
        header = {
            "msg_id": message_id,
            "msg_type": "execute_request",
            "username": "",
            "session": message_id,
            "version": "5.3",
        }
        content = {"code": code, "silent": False, "store_history": False, "allow_stdin": False}
        self._socket.send(
            json.dumps(
                {
                    "header": header,
                    "parent_header": {},
                    "metadata": {},
                    "content": content,
                    "channel": "shell",
                }
            )
        )
        printed: list[str] = []
        failed: str | None = None
        while True:
            message = json.loads(self._socket.recv())
            if message.get("parent_header", {}).get("msg_id") != message_id:
                continue
            kind, content = message["header"]["msg_type"], message["content"]
            if kind == "stream":
                printed.append(content["text"])
            elif kind == "error":
                failed = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(content["traceback"]))
            elif kind == "status" and content["execution_state"] == "idle":
                if failed:
                    raise AssertionError(failed)
                return "".join(printed)

    def close(self) -> None:
        self._socket.close()
