"""``adaptery tenant …`` on the command line: for administrators.

What always holds: names that come from the Hub are written without what a terminal would obey.
"""

from __future__ import annotations

import argparse
import re
import sys
from functools import partial
from typing import TYPE_CHECKING

from adaptery.connected_commands import add_action
from adaptery.errors import InvalidInputError
from adaptery.text_tables import aligned

if TYPE_CHECKING:
    from adaptery.client import Hub
    from adaptery.commands import Subparsers
    from adaptery.schemas.tenants import Reassignment, Retention, Tenant

__all__ = ["parse_size", "register"]

ENVIRONMENT = (
    "Needs ADAPTERY_URL and JUPYTERHUB_API_TOKEN in the environment, and a token with the scope "
    "custom:adaptery:admin: that of a server has it not, make one on the Hub's token page."
)
#: Of the list.
TITLES = ("ID", "NAME", "ON THE HUB", "STATE", "OWNS", "STORES")
_SIZE = re.compile(r"(\d{1,18})(?:\.(\d))?\s*(|[kmgt]i?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
_BINARY_UNITS = {"ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def register(subparsers: Subparsers) -> None:
    """Add the commands about tenants to the command line."""
    tenant = subparsers.add_parser("tenant", help="who owns things here; for administrators")
    actions = tenant.add_subparsers(title="actions", required=True, metavar="ACTION")
    add = partial(add_action, actions, environment=ENVIRONMENT)
    listing = add("list", "list tenants with what they own and store", _list)
    listing.add_argument(
        "--dormant", action="store_true", help="only those who are gone from the Hub"
    )
    listing.add_argument("--kind", choices=("user", "group", "service"), help="only of this kind")
    listing.add_argument("--search", help="only those whose name holds this")
    moving = add("reassign", "give what a dormant tenant owns to another", _reassign)
    _add_tenant(moving)
    moving.add_argument("--to", required=True, help="@user or a group; they have logged in before")
    moving.add_argument(
        "--dry-run", action="store_true", help="only list what would move, and its new names"
    )
    moving.add_argument(
        "--break-glass",
        action="store_true",
        help="give it to yourself or a group of yours; the audit says so",
    )
    quota = add("quota", "set how much one tenant may store", _quota)
    _add_tenant(quota)
    quota.add_argument("size", metavar="SIZE", help="such as 50GB or 20GiB; none; default")
    keeping = add(
        "retention",
        "set how long checkpoints and logs of one tenant's jobs are kept",
        _retention,
    )
    _add_tenant(keeping)
    keeping.add_argument("days", metavar="DAYS", help="a number of days; forever; default")
    suspending = add("suspend", "keep a user or group out for now", _suspend)
    _add_tenant(suspending)
    resuming = add("resume", "let in again who was suspended", _resume)
    _add_tenant(resuming)
    retiring = add(
        "retire", "let a group be dormant that the Hub made again under its name", _retire
    )
    _add_tenant(retiring)
    sweeping = add("sweep", "remove what was kept as long as it shall be", _sweep)
    sweeping.add_argument("--dry-run", action="store_true", help="only count what is due")


def parse_size(text: str) -> int | None:
    """Return a number of bytes; 0 for `none`, None for `default`.

    Raises:
        InvalidInputError: it is none of these.
    """
    if text in ("none", "default"):
        return 0 if text == "none" else None
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise InvalidInputError(
            "This is no size.", hint="write 50GB, 20GiB, a number of bytes, none or default"
        )
    whole, tenth, unit = match[1], match[2] or "0", match[3].lower()
    factor = {**_UNITS, **_BINARY_UNITS}[unit]
    return int(whole) * factor + int(tenth) * factor // 10


def _parse_days(text: str) -> int | None:
    if text in ("forever", "default"):
        return 0 if text == "forever" else None
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text)):
        raise InvalidInputError(
            "This is no number of days.", hint="write 30, for example, forever or default"
        )
    return int(text)


def _add_tenant(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", metavar="TENANT", help="an id or name, as the list has it")


def _list(hub: Hub, arguments: argparse.Namespace) -> None:
    state = "dormant" if arguments.dormant else None
    found = hub.tenants.list(state=state, kind=arguments.kind, search=arguments.search)
    for line in aligned([TITLES, *map(_cells, found)]):
        _say(line)


def _reassign(hub: Hub, arguments: argparse.Namespace) -> None:
    moved = hub.tenants.reassign(
        arguments.tenant,
        arguments.to,
        dry_run=arguments.dry_run,
        break_glass=arguments.break_glass,
    )
    for move in moved.moves:
        _say(f"{move.kind}  {move.id}  {move.name} -> {move.new_name}")
    _say(_sum(moved))
    if moved.dry_run and moved.needs_break_glass:
        _say("You could read it then: this needs --break-glass, and the audit says so.")


def _quota(hub: Hub, arguments: argparse.Namespace) -> None:
    _say(_line(hub.tenants.set_quota(arguments.tenant, parse_size(arguments.size))))


def _retention(hub: Hub, arguments: argparse.Namespace) -> None:
    from adaptery.client.words import count_of

    tenant = hub.tenants.set_retention(arguments.tenant, _parse_days(arguments.days))
    kept = tenant.retention_days
    told = "as the settings say" if kept is None else count_of(kept, "day") if kept else "for ever"
    _say(f"{tenant.name}  jobs that are over are kept: {told}")


def _suspend(hub: Hub, arguments: argparse.Namespace) -> None:
    _say(_line(hub.tenants.suspend(arguments.tenant)))


def _resume(hub: Hub, arguments: argparse.Namespace) -> None:
    _say(_line(hub.tenants.resume(arguments.tenant)))


def _retire(hub: Hub, arguments: argparse.Namespace) -> None:
    _say(_line(hub.tenants.retire(arguments.tenant)))


def _sweep(hub: Hub, arguments: argparse.Namespace) -> None:
    _tell(hub.tenants.due() if arguments.dry_run else hub.tenants.sweep())


def _tell(found: Retention) -> None:
    from adaptery.client.words import count_of, size_of

    did = "due" if found.dry_run else "removed"
    for kind in found.kinds:
        kept = f"kept for {count_of(kind.days, 'day')}" if kind.days else "kept for ever"
        size = f", {size_of(kind.bytes)}" if kind.bytes else ""
        _say(f"{kind.kind.replace('_', ' ')}: {kept}; {did}: {kind.count:,}{size}")
    if found.more:
        _say("There is more; it goes in the next hours, or run this again.")


def _line(tenant: Tenant) -> str:
    return "  ".join(_cells(tenant))


def _cells(tenant: Tenant) -> list[str]:
    from adaptery.client.words import size_of

    storage = tenant.storage
    quota = "no limit" if storage.quota_bytes is None else size_of(storage.quota_bytes)
    state = tenant.state
    if tenant.dormant_at is not None:
        state += f" since {tenant.dormant_at:%Y-%m-%d}"
    owns = _things(tenant)
    used = f"{size_of(storage.used_bytes)} of {quota}"
    return [tenant.id, tenant.name, f"{tenant.kind} {tenant.hub_name}", state, owns, used]


def _things(counted: Tenant | Reassignment) -> str:
    from adaptery.client.words import count_of

    numbers = {"dataset": counted.datasets, "job": counted.jobs, "adapter": counted.adapters}
    return ", ".join(count_of(number, noun) for noun, number in numbers.items())


def _sum(moved: Reassignment) -> str:
    from adaptery.client.words import size_of

    told = f"{_things(moved)}, {size_of(moved.bytes)}: {moved.source} -> {moved.to}"
    listed = len(moved.moves)
    more = moved.datasets + moved.jobs + moved.adapters - listed
    told += f" ({more:,} more than are listed)" if more > 0 else ""
    return f"would move {told}" if moved.dry_run else f"moved {told}"


def _say(text: str) -> None:
    from adaptery.client.words import printable

    sys.stdout.write(f"{printable(text)}\n")
