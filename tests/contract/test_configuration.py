"""The two `configure` functions: typed, additive, and strict about what they do not know."""

import json
from pathlib import Path

import pytest
from traitlets.config import Config

import adaptery_hub
import adaptery_spawner

MODELS = {"tiny/base": "/models/tiny"}


def base_models(tmp_path: Path) -> dict[str, Path]:
    """Return one base model whose source is there."""
    source = tmp_path / "base.gguf"
    source.touch()
    return {"tiny/base": source}


def configured(tmp_path: Path, **options: object) -> Config:
    c = Config()
    arguments: dict[str, object] = {
        "state_dir": tmp_path / "state",
        "base_models": base_models(tmp_path),
    }
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
        ({"more": {"user_limits": {"request_per_minute": 120}}}, ValueError),
        ({"more": {"user_limits": {"answers": "many"}}}, ValueError),
        ({"more": {"identity_cache_seconds": 300}}, ValueError),
        ({"more": {"logging_level": "chatty"}}, ValueError),
        ({"max_upload_bytes": "512 MB"}, ValueError),
        ({"max_attempts": 0}, ValueError),
        ({"worker_slots": 0}, ValueError),
        ({"engine_threads": "2"}, ValueError),
        ({"tasks_dir": "/no/such/folder"}, ValueError),
        ({"base_models": MODELS}, ValueError),
        ({"base_models": {"tiny/base": "hf:no/such"}}, ValueError),
        ({"embedding_models": {"e/e": "/models/embedder"}}, ValueError),
    ],
)
def test_a_wrong_option_stops_the_start(
    tmp_path: Path, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        configured(tmp_path, **options)
    assert not (tmp_path / "state").exists(), "nothing was written"


def test_the_error_names_the_option_or_the_model_and_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"user_limits.*requests_per_minute.*request_per_minute"):
        configured(tmp_path, more={"user_limits": {"request_per_minute": 120}})
    with pytest.raises(ValueError, match=r"tiny/base: /models/tiny .* does not exist"):
        configured(tmp_path, base_models=MODELS)
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks/mine.yaml").write_text("[]")
    with pytest.raises(ValueError, match=r"(?s)tasks_dir: .*mine\.yaml:1: is not a mapping"):
        configured(tmp_path, tasks_dir=tmp_path / "tasks")


def test_a_source_may_be_away_where_nobody_reads_it(tmp_path: Path) -> None:
    configured(tmp_path, base_models=MODELS, local_agent=False)
    converted = tmp_path / "state/models/tiny--base"
    converted.mkdir(parents=True)
    (converted / "base_model.json").touch()
    configured(tmp_path, base_models=MODELS)


def test_a_relative_source_is_one_below_the_folder_of_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base_models(tmp_path)
    monkeypatch.chdir(tmp_path)
    configured(tmp_path, base_models={"tiny/base": "base.gguf"})
    agent = json.loads((tmp_path / "state/agent/agent.json").read_text())
    assert agent["base_models"] == {"tiny/base": str(tmp_path / "base.gguf")}


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
    adaptery_hub.configure(c, state_dir=tmp_path / "s", base_models=base_models(tmp_path))
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
    assert agent["base_models"] == {"tiny/base": str(tmp_path / "base.gguf")}
    assert agent["embedding_models"] == service["embedding_models"] == {}


def test_embedding_models_reach_the_service_and_its_agent(tmp_path: Path) -> None:
    source = tmp_path / "embedder"
    source.mkdir()
    (source / "modules.json").touch()
    given = {"tiny/embedder": source}
    configured(tmp_path, embedding_models=given, pinned_digests={"tiny/embedder": "sha256:0"})
    service = json.loads((tmp_path / "state/service.json").read_text())["ServiceSettings"]
    agent = json.loads((tmp_path / "state/agent/agent.json").read_text())
    expected = {"tiny/embedder": str(source)}
    assert service["embedding_models"] == agent["embedding_models"] == expected


def test_the_shipped_deployment_is_complete(tmp_path: Path, monkeypatch: object) -> None:
    from jupyterhub.app import JupyterHub

    assert isinstance(monkeypatch, pytest.MonkeyPatch)
    monkeypatch.setenv("ADAPTERY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("ADAPTERY_BASE_MODEL", str(base_models(tmp_path)["tiny/base"]))
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
