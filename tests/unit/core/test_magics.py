"""`%%chat` in IPython's terminal, which shows no Markdown; kernels are tested with a real one."""

from typing import Any

import pytest
from IPython.core.error import UsageError

from adaptery.client.magics import Magics
from support.scripted_http import ScriptedHttp, Stream, scripted_http


class NotedShell:
    """What we use of IPython's shell in a terminal."""

    def __init__(self) -> None:
        self.user_ns: dict[str, object] = {}
        self.displayhook = self
        self.display_pub = None

    def update_user_ns(self, result: object) -> None:
        self.user_ns["_"] = result


def chunk(text: str) -> dict[str, Any]:
    return {"model": "m", "choices": [{"delta": {"content": text}, "finish_reason": None}]}


def magics(service: ScriptedHttp, shell: NotedShell) -> Magics:
    return Magics(shell, service.connect)  # type: ignore[arg-type]


def test_a_terminal_shows_the_words_and_obeys_none(capsys: pytest.CaptureFixture[str]) -> None:
    shell = NotedShell()
    with scripted_http() as service:
        said = Stream(chunk("So\n"), chunk("far\x1b[2J"), "[DONE]")
        models = {"GET v1/models/a": {"parent": "b"}, "GET v1/models/b": {"parent": None}}
        service.script = {"POST v1/chat/completions": said, **models}
        magics(service, shell).chat("a --beside --into note", "Hello")
    assert capsys.readouterr().out == "a:\nSo\nfar?[2J\nb:\nSo\nfar?[2J\n"
    assert shell.user_ns == {"_": "So\nfar\x1b[2J", "note": "So\nfar\x1b[2J"}


def test_an_answer_that_breaks_off_is_kept_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    shell = NotedShell()
    cut = {"POST v1/chat/completions": Stream(chunk("So"))}
    with scripted_http(cut) as service, pytest.raises(UsageError, match="was cut off"):
        magics(service, shell).chat("", "Hello")
    assert shell.user_ns == {"_": "So"}
    assert capsys.readouterr().out == "So\n"
