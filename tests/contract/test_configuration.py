"""The two `configure` functions: typed, additive, and strict about what they do not know."""

import json
from pathlib import Path

import pytest
from traitlets.config import Config

import adaptery_hub
import adaptery_spawner

MODELS = {"tiny/base": "/models/tiny"}


def configured(tmp_path: Path, **options: object) -> Config:
    c = Config()
    arguments: dict[str, object] = {"state_dir": tmp_path / "state", "base_models": MODELS}
    adaptery_hub.configure(c, **{**arguments, **options})  # type: ignore[arg-type]
    return c


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lease_second": 5}, TypeError),
        ({"more": {"databse_url": "sqlite://"}}, TypeError),
        ({"base_models": {}}, ValueError),
        ({"base_models": {"no-organisation": "x"}}, ValueError),
        ({"default_base_model": "tiny/other"}, ValueError),
        ({"pinned_digests": {"tiny/other": "sha256:0"}}, ValueError),
        ({"embedding_models": {"no-organisation": "x"}}, ValueError),
        ({"embedding_models": MODELS}, ValueError),
        ({"embedding_models": {"e/e": "x"}, "default_base_model": "e/e"}, ValueError),
    ],
)
def test_a_wrong_option_stops_the_start(
    tmp_path: Path, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        configured(tmp_path, **options)


def test_a_misspelt_option_of_the_spawner_stops_the_start() -> None:
    with pytest.raises(TypeError):
        adaptery_spawner.configure(Config(), url_for_server="http://x")  # type: ignore[call-arg]
    with pytest.raises(ValueError, match="http"):
        adaptery_spawner.configure(Config(), url_for_servers="hub.example.edu")


def test_configuring_adds_to_what_the_admin_has(tmp_path: Path) -> None:
    c = Config()
    c.JupyterHub.services = [{"name": "theirs"}]
    c.JupyterHub.load_roles = [{"name": "theirs", "scopes": []}]
    c.JupyterHub.extra_user_scopes = {"list:services"}
    adaptery_hub.configure(c, state_dir=tmp_path, base_models=MODELS)
    assert [s["name"] for s in c.JupyterHub.services] == ["theirs", "adaptery"]
    assert c.JupyterHub.load_roles[0]["name"] == "theirs"
    assert {"list:services", "custom:adaptery:infer"} <= c.JupyterHub.extra_user_scopes


def test_what_is_written_holds_no_secret_and_is_private(tmp_path: Path) -> None:
    configured(tmp_path, more={"database_url": "sqlite:///x.sqlite"})
    state = tmp_path / "state"
    assert state.stat().st_mode & 0o077 == 0
    service = json.loads((state / "service.json").read_text())["ServiceSettings"]
    assert service["database_url"] == "sqlite:///x.sqlite"
    assert service["lease_seconds"] == 60
    agent = json.loads((state / "agent/agent.json").read_text())
    assert agent["base_models"] == MODELS
    assert agent["embedding_models"] == service["embedding_models"] == {}


def test_embedding_models_reach_the_service_and_its_agent(tmp_path: Path) -> None:
    given = {"tiny/embedder": Path("/models/embedder")}
    configured(tmp_path, embedding_models=given, pinned_digests={"tiny/embedder": "sha256:0"})
    service = json.loads((tmp_path / "state/service.json").read_text())["ServiceSettings"]
    agent = json.loads((tmp_path / "state/agent/agent.json").read_text())
    expected = {"tiny/embedder": "/models/embedder"}
    assert service["embedding_models"] == agent["embedding_models"] == expected


def test_the_shipped_deployment_is_complete(tmp_path: Path, monkeypatch: object) -> None:
    from jupyterhub.app import JupyterHub

    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    monkeypatch.setenv("ADAPTERY_STATE_DIR", str(tmp_path / "state"))
    app = JupyterHub()
    app.load_config_file(str(Path(__file__).resolve().parents[2] / "jupyterhub_config.py"))
    assert [service["name"] for service in app.services] == ["adaptery"]
    assert app.spawner_class.__name__ == "AdapterySimpleLocalProcessSpawner"
    homes = tmp_path / "state/home"
    assert app.config.Spawner.notebook_dir == f"{homes}/{{username}}"
    for user in ("demo", "guest", "admin"):
        assert (homes / user / "first-adapter.ipynb").is_file(), "each user has their own tutorial"
        assert (homes / user / "visits/heldout.json").is_file()
    JupyterHub.clear_instance()
