"""The README says of clients what the last whole run of their tests found, and all of it passed."""

from clients.real_clients import CLIENTS, JUPYTER_AI, passed
from clients.write_table import README, with_table


def test_the_table_in_the_readme_is_what_was_recorded() -> None:
    assert with_table(README.read_text()) == README.read_text()


def test_every_feature_of_every_client_was_recorded_as_passed() -> None:
    found = passed()
    assert {client.name: set(client.features) for client in (*CLIENTS, JUPYTER_AI)} == {
        name: set(features) for name, features in found.items()
    }
