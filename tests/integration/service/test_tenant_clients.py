"""The client and `adaptery tenant` against the service."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

import adaptery
from adaptery.client.hub import connect as real_connect
from adaptery.commands import main
from adaptery.errors import InvalidInputError, NotAllowedError, StorageQuotaError
from adaptery.tenant_commands import parse_size
from support.service import Client, Service, alpaca, running_service
from support.shared_things import OPTIONS, make_things


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with running_service(tmp_path / "state", **OPTIONS) as running:
        yield running


@pytest.fixture
def boss(service: Service) -> Iterator[adaptery.Hub]:
    service.identities.add("token-of-boss", "boss", (), ("read", "write", "admin"))
    with real_connect(service.url, "token-of-boss") as hub:
        yield hub


@pytest.fixture
def run(
    service: Service, boss: adaptery.Hub, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., "asyncio.Future[int]"]:
    """Run a command of an administrator, in a thread."""
    monkeypatch.setattr(
        "adaptery.client.connect", lambda: real_connect(service.url, "token-of-boss")
    )
    return lambda *words: asyncio.ensure_future(asyncio.to_thread(main, ["tenant", *words]))


async def test_a_dormant_tenant_is_found_and_given_away(
    service: Service,
    demo: Client,
    run: Callable[..., "asyncio.Future[int]"],
    capsys: pytest.CaptureFixture[str],
) -> None:
    things = await make_things(service, demo)
    heir = service.client("heir")
    await heir.json("GET", "api/whoami")
    service.identities.make_again("demo")
    await service.client("demo").json("GET", "api/whoami")
    assert await run("list", "--dormant") == 0
    titles, line = capsys.readouterr().out.splitlines()
    assert titles.split()[:2] == ["ID", "NAME"]
    assert titles.index("STATE") == line.index("dormant since 2")
    assert "  @demo  user demo  " in line
    assert "1 dataset, 1 job, 1 adapter  " in line and " of 21.5 GB" in line
    assert await run("reassign", "@demo", "--to", "@heir", "--dry-run") == 0
    planned = capsys.readouterr().out.splitlines()
    assert f"dataset  {things['dataset']}  @demo/secret -> @heir/secret" in planned
    assert planned[-1].startswith("would move 1 dataset, 1 job, 1 adapter, ")
    assert await run("reassign", "@demo", "--to", "@heir") == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(": @demo -> @heir")
    await heir.json("GET", f"api/datasets/{things['dataset']}")
    assert await run("list") == 0
    assert "0 datasets, 0 jobs, 0 adapters" in capsys.readouterr().out
    assert await run("reassign", "@heir", "--to", "@boss") == 1
    assert "not to be given away" in capsys.readouterr().err
    await run("list")
    assert await run("reassign", "@demo", "--to", "@boss") == 1
    assert "--break-glass" in capsys.readouterr().err
    assert await run("reassign", "@demo", "--to", "@boss", "--dry-run") == 0
    assert "needs --break-glass" in capsys.readouterr().out
    assert await run("reassign", "@demo", "--to", "@boss", "--break-glass") == 0


async def test_quota_and_retention(
    service: Service,
    demo: Client,
    run: Callable[..., "asyncio.Future[int]"],
    capsys: pytest.CaptureFixture[str],
) -> None:
    dataset = await demo.dataset(tenant="radiology")
    assert await run("quota", "radiology", "1kB") == 0
    assert " of 1.0 kB" in capsys.readouterr().out
    await demo.upload(dataset, alpaca(3), status=413)
    assert await run("quota", "radiology", "none") == 0
    assert " of no limit" in capsys.readouterr().out
    assert await run("quota", "radiology", "much") == 1
    assert "50GB" in capsys.readouterr().err
    for days, told in (
        ("7", "7 days"),
        ("1", "1 day\n"),
        ("forever", "for ever"),
        ("default", "as the settings"),
    ):
        assert await run("retention", "radiology", days) == 0
        assert told in capsys.readouterr().out
    capsys.readouterr()
    assert await run("sweep", "--dry-run") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "checkpoints: kept for 30 days; due: 0"
    assert await run("sweep") == 0
    assert "checkpoints: kept for 30 days; removed: 0" in capsys.readouterr().out
    assert await run("retire", "radiology") == 0
    assert "dormant since" in capsys.readouterr().out
    assert await run("retire", "@demo") == 1
    assert await run("suspend", "@demo") == 0
    assert "  suspended  " in capsys.readouterr().out
    assert await run("resume", "@demo") == 0
    assert "  active  " in capsys.readouterr().out


async def test_names_of_the_hub_do_not_reach_the_terminal_raw(
    service: Service, run: Callable[..., "asyncio.Future[int]"], capsys: pytest.CaptureFixture[str]
) -> None:
    await service.client("evil\x1b[2J\nuser").json("GET", "api/whoami")
    assert await run("list") == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said and "evil?[2J" in said


async def test_the_client_says_what_i_store(service: Service, demo: Client) -> None:
    dataset = await demo.dataset(tenant="radiology")
    await demo.upload(dataset, alpaca(9))
    service.identities.add("token-of-member", "demo", ("radiology",))
    with real_connect(service.url, "token-of-member") as hub:
        accounts = await asyncio.to_thread(hub.storage)
        with pytest.raises(NotAllowedError):
            await asyncio.to_thread(hub.tenants.list)
    assert [account.tenant for account in accounts] == ["@demo", "radiology"]
    parts = accounts[1].parts
    assert accounts[1].used_bytes == parts.drafts + parts.uploads > parts.drafts > 0
    html = accounts._repr_html_()
    assert "radiology" in html and "21.5 GB" in html
    await demo.json("POST", "api/retention", 403)


async def test_a_full_store_is_an_error_of_its_own(
    service: Service, boss: adaptery.Hub, tmp_path: Path
) -> None:
    def fill() -> None:
        dataset = boss.datasets.create("visits")
        boss.tenants.set_quota("@boss", 1)
        file = tmp_path / "visits.json"
        file.write_bytes(alpaca(3))
        with pytest.raises(StorageQuotaError, match="no room"):
            dataset.upload(file)
        boss.tenants.set_quota("@boss", None)
        dataset.upload(file)
        assert boss.tenants.get("@boss").storage_quota_bytes is None
        assert "@boss" in boss.tenants.list(kind="user", search="boss")._repr_html_()

    await asyncio.to_thread(fill)


def test_sizes() -> None:
    assert parse_size("20GiB") == 20 * 2**30
    assert parse_size("50 GB") == parse_size("50g") == 50 * 10**9
    assert parse_size("1.5tb") == 1_500_000_000_000
    assert parse_size("123") == 123
    assert (parse_size("none"), parse_size("default")) == (0, None)
    for text in ("", "GB", "-1", "1.55GB", "1e9", "9" * 19, "20 XB", "none "):
        with pytest.raises(InvalidInputError):
            parse_size(text)
