"""Names in answers: `@demo/visits@3` for a user's thing, `radiology/visits@3` for a group's."""

from __future__ import annotations

from adaptery.names import ThingName


def full_name(tenant_kind: str, slug: str, name: str, number: int | None = None) -> str:
    """Returns the whole name of a thing, with its version where there is one."""
    return str(ThingName(slug, name, number, personal=tenant_kind != "group"))
