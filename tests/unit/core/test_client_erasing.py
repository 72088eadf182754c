"""Erasing and stores in the client and on the command line, against a scripted service."""

from __future__ import annotations

import argparse
import io
from typing import Any

import pytest

from adaptery.data_commands import erase
from adaptery.errors import InvalidInputError
from adaptery.ids import new_id
from support.scripted_service import AT, ScriptedService, connect, dataset, operation, version

INFO = dataset()


def erasure(**fields: Any) -> dict[str, Any]:
    remains = [
        {"kind": "adapter", "name": "@demo/soap@1", "why": "It learnt from it.", "until": None},
        {"kind": "locked_object", "name": "a", "why": "The store keeps it.", "until": AT},
    ]
    return {
        "id": new_id("er"),
        "dataset": INFO["full_name"],
        "state": "completed",
        "created_at": AT,
        "key_destroyed": True,
        "records": 90,
        "files": 1,
        "versions": ["@demo/visits@1"],
        "objects": 7,
        "bytes": 12345,
        "remains": remains,
        **fields,
    }


def service() -> ScriptedService:
    begun = operation(kind="erase", result={"erasure": erasure()}, state="completed")
    path = f"api/datasets/{INFO['id']}"
    scripted = ScriptedService().on("GET", path, INFO).on("POST", f"{path}/erase", begun)
    return scripted.on("GET", f"{path}/erase", erasure(state="running"))


def test_a_dataset_is_erased_and_tells_what_remains() -> None:
    scripted = service()
    found = connect(scripted).datasets.get(str(INFO["id"]))
    done = found.erase("@demo/visits", progress=False)
    assert scripted.bodies[-1] == b'{"name":"@demo/visits"}'
    assert [left.kind for left in done.remains] == ["adapter", "locked_object"]
    assert found.erasure().state == "running"


def typed(monkeypatch: pytest.MonkeyPatch, scripted: ScriptedService, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    arguments = argparse.Namespace(dataset=INFO["id"])
    erase._erase(connect(scripted), arguments)


def test_the_command_wants_the_name_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scripted = service()
    with pytest.raises(InvalidInputError, match="nothing was erased"):
        typed(monkeypatch, scripted, "visits\n")
    assert not any(request.method == "POST" for request in scripted.requests)
    typed(monkeypatch, scripted, f"{INFO['full_name']}\n")
    said = capsys.readouterr().out
    assert "its key, 90 records" in said and "@demo/soap@1" in said and AT[:10] in said


def test_the_store_and_short_lived_access_are_told() -> None:
    info = version()
    store = {"kind": "seaweedfs", "level": "enforced", "why": "Proved.", "new_field": 1}
    digest = "sha256:" + "0" * 64
    access = {
        "version": info["id"],
        "manifest_digest": digest,
        "expires_at": AT,
        "files": [{"path": "a", "url": "http://store/a", "bytes": 1, "digest": digest}],
    }
    scripted = (
        ScriptedService()
        .on("GET", "api/stores", store)
        .on("GET", f"api/datasets/{INFO['id']}", INFO)
        .on("GET", f"api/datasets/{INFO['id']}/versions", {"items": [info], "has_more": False})
        .on("GET", f"api/versions/{info['id']}/access", access)
    )
    hub = connect(scripted)
    assert hub.store().level == "enforced"
    (found,) = hub.datasets.get(str(INFO["id"])).versions()
    assert found.access().files[0].url == "http://store/a"
