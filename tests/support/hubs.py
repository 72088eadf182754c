"""Starts the Hub of the tests: real, with a tiny base model and short patience."""

from pathlib import Path

from local_hub import HubProcess

TEST_CONFIG = Path(__file__).with_name("jupyterhub_config.py")


def start_hub(state: Path, base: Path, config: Path = TEST_CONFIG, **settings: str) -> HubProcess:
    """Start a Hub with this base model; the caller stops it."""
    environment = {"ADAPTERY_BASE_MODEL": str(base), "OMP_NUM_THREADS": "1", **settings}
    hub = HubProcess(state=state, config=config, environment=environment)
    try:
        return hub.start()
    except BaseException:
        hub.stop()
        raise
