import json

import pytest

from adaptery.errors import InvalidInputError
from adaptery_network.agent.config import AgentConfig, load_config


def test_without_a_file_the_defaults_hold(tmp_path):
    config = load_config(tmp_path)
    assert config.worker_slots == 1
    assert config.models_folder == tmp_path / "models"
    assert config.threads_per_worker >= 1
    assert "adaptery_training" in config.worker_command


def test_what_was_saved_is_read_again_and_the_file_says_only_what_differs(tmp_path):
    config = load_config(tmp_path, base_models={"tiny": "/m"}, worker_slots=2)
    config.save()
    said = json.loads((tmp_path / "agent.json").read_text())
    assert said == {"base_models": {"tiny": "/m"}, "worker_slots": 2}
    assert load_config(tmp_path) == config


def test_a_given_option_wins_over_the_file_and_none_does_not(tmp_path):
    (tmp_path / "agent.json").write_text('{"worker_slots": 3, "broker_url": "nats://a:1"}')
    config = load_config(tmp_path, worker_slots=None, broker_url="nats://b:2")
    assert (config.worker_slots, config.broker_url) == (3, "nats://b:2")


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ('{"worker_slot": 1}', "worker_slot"),
        ('{"worker_slots": "many"}', "worker_slots"),
        ('{"engine_start": "never"}', "engine_start"),
    ],
)
def test_a_wrong_option_is_named(tmp_path, text, where):
    (tmp_path / "agent.json").write_text(text)
    with pytest.raises(InvalidInputError) as caught:
        load_config(tmp_path)
    assert where in caught.value.errors[0].where


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_file_that_is_no_json_object_is_named(tmp_path, text):
    (tmp_path / "agent.json").write_text(text)
    with pytest.raises(InvalidInputError, match=r"agent\.json"):
        load_config(tmp_path)


def test_an_impossible_number_is_refused(tmp_path):
    with pytest.raises(InvalidInputError):
        AgentConfig(state_dir=tmp_path, worker_slots=0)
