"""Own keys in the client and on the command line: a secret shows where it is asked for, only."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

import adaptery
from adaptery.client.columns import state_of_key
from adaptery.client.hub import connect as real_connect
from adaptery.commands import build_parser, main
from adaptery.errors import InvalidInputError
from adaptery.key_secrets import make_secret
from adaptery.schemas.keys import Key
from adaptery.times import now, to_text

SECRET = make_secret()
KEY = {
    "id": "ak_01hzzzzzzzzzzzzzzzzzzzzzzz",
    "name": "pipeline",
    "owner": "@demo",
    "prefix": SECRET[:7] + "…",
    "adapters": [{"id": "ad_1", "name": "@demo/soap@1"}, {"id": "ad_2", "name": None}],
    "verbs": ["infer"],
    "tokens_per_day": None,
    "requests_per_minute": None,
    "expires_at": to_text(now()),
    "overlap_until": None,
    "last_used_at": None,
    "created_at": to_text(now()),
    "revoked_at": None,
}


@pytest.fixture
def sent() -> list[httpx.Request]:
    return []


@pytest.fixture
def connect(sent: list[httpx.Request]) -> Callable[[], adaptery.Hub]:
    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        if request.method == "GET":
            return httpx.Response(200, json={"items": [KEY], "has_more": False})
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(201, json={**KEY, "secret": SECRET})

    transport = httpx.MockTransport(answer)
    return lambda: real_connect("http://hub.test/adaptery", "token", transport=transport)


@pytest.fixture
def hub(connect: Callable[[], adaptery.Hub]) -> adaptery.Hub:
    return connect()


def test_a_new_key_has_its_secret_and_does_not_show_it(hub: adaptery.Hub) -> None:
    key = hub.keys.create("pipeline", adapters=["soap"])
    assert key.secret == SECRET
    for shown in (repr(key), str(key), f"{key}", repr([key]), repr({"key": key})):
        assert SECRET not in shown and SECRET[7:] not in shown
        assert "pipeline" in shown


def test_what_is_asked(hub: adaptery.Hub, sent: list[httpx.Request]) -> None:
    hub.keys.create("pipeline", "soap", expires_in_days=3, tokens_per_day=9, requests_per_minute=2)
    hub.keys.rotate(KEY["id"], overlap_minutes=5)
    hub.keys.revoke(KEY["id"])
    hub.keys.list(everyone=True)
    assert [f"{r.method} {r.url.path.removeprefix('/adaptery/')}" for r in sent] == [
        "POST api/keys",
        f"POST api/keys/{KEY['id']}/rotate",
        f"DELETE api/keys/{KEY['id']}",
        "GET api/keys",
    ]
    assert json.loads(sent[0].content) == {
        "name": "pipeline",
        "adapters": ["soap"],
        "verbs": ["infer", "read"],
        "expires_in_days": 3,
        "tokens_per_day": 9,
        "requests_per_minute": 2,
    }
    assert json.loads(sent[1].content) == {"overlap_minutes": 5}
    assert sent[3].url.params["of"] == "everyone"


def test_what_is_wrong_is_not_sent(hub: adaptery.Hub, sent: list[httpx.Request]) -> None:
    with pytest.raises(InvalidInputError):
        hub.keys.create("pipeline", [])
    with pytest.raises(InvalidInputError):
        hub.keys.create("pipeline", ["soap"], verbs=["write"])
    with pytest.raises(InvalidInputError):
        hub.keys.rotate(KEY["id"], overlap_minutes=2000)
    assert sent == []


def test_a_list_is_a_table_without_secrets(hub: adaptery.Hub) -> None:
    keys = hub.keys.list()
    assert isinstance(keys[0], Key) and not hasattr(keys[0], "secret")
    html = keys._repr_html_()
    assert "@demo/soap@1, ad_2" in html and "pipeline" in html
    assert "Prefix" in html and "expired" in html


@pytest.mark.parametrize(
    ("changes", "state"),
    [
        ({}, "in force"),
        ({"tokens_per_day": 5, "tokens_today": 5}, "spent"),
        ({"adapters": [{"id": "ad_2", "name": None}]}, "asks nothing"),
        ({"adapters": [{"id": "ad_2", "name": None}], "verbs": ["embed"]}, "in force"),
        ({"expires_at": to_text(now())}, "expired"),
        ({"revoked_at": to_text(now())}, "revoked"),
    ],
)
def test_the_state_of_a_key(changes: dict[str, object], state: str) -> None:
    later = to_text(now() + timedelta(days=1))
    assert state_of_key(Key.model_validate({**KEY, "expires_at": later, **changes})) == state


@pytest.fixture
def run(connect: Callable[[], adaptery.Hub], monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    monkeypatch.setattr("adaptery.client.connect", connect)
    return lambda *arguments: main(["keys", *arguments])


def test_the_secret_is_alone_on_standard_output(
    run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("create", "pipeline", "--adapter", "soap", "--days", "3") == 0
    said = capsys.readouterr()
    assert said.out == f"{SECRET}\n"
    assert SECRET not in said.err and "@demo/soap@1" in said.err


def test_the_other_commands(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("rotate", KEY["id"]) == 0
    assert capsys.readouterr().out == f"{SECRET}\n"
    assert run("list") == 0
    listed = capsys.readouterr().out
    assert KEY["id"] in listed and "pipeline" in listed and SECRET not in listed
    assert run("revoke", KEY["id"]) == 0
    assert capsys.readouterr().err == "revoked\n"


def test_no_keys_are_said_beside_standard_output(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"items": [], "has_more": False})

    empty = real_connect("http://hub.test/", "token", transport=httpx.MockTransport(answer))
    monkeypatch.setattr("adaptery.client.connect", lambda: empty)
    assert main(["keys", "list"]) == 0
    assert capsys.readouterr() == ("", "No keys.\n")


def test_without_a_hub_it_says_what_to_set() -> None:
    command = [sys.executable, "-m", "adaptery", "keys", "list"]
    env = {name: value for name, value in os.environ.items() if "ADAPTERY" not in name}
    env.pop("JUPYTERHUB_API_TOKEN", None)
    for missing in ("ADAPTERY_URL", "JUPYTERHUB_API_TOKEN"):
        ended = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
        assert ended.returncode == 1
        assert f"or set {missing}" in ended.stderr and "Traceback" not in ended.stderr
        env["ADAPTERY_URL"] = "http://127.0.0.1:1/services/adaptery/"


def test_no_option_takes_a_secret() -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["keys", "revoke", "--secret", SECRET])
