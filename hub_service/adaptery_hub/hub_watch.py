"""Looks again and again whether the Hub still has the users and groups whose tenants are awake.

A group carries no time of creation: one that was deleted and made again looks like the one before.
So its tenant has to be dormant before that, and whoever sees the group gone first says so. Users
are told apart at each request, by their time of creation; here they are looked at only so that the
administrator's list shows who is gone.

Invariants:

- Only a Hub that says "there is none" counts, and only while it says that this service may see all
  users and groups; no answer changes nothing.
- A look costs one question for each group, and for a slice of the users.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from adaptery.errors import UnavailableError
from adaptery_hub import logs
from adaptery_hub.database import Database
from adaptery_hub.database.statements import tenants as statements
from adaptery_hub.database.statements.tenants import Row
from adaptery_hub.identity import IdentitySource
from adaptery_hub.succession import Succession

logger = logging.getLogger(__name__)

#: How long a group may be gone before that is seen; made again sooner, it is the same group.
LOOK_SECONDS = 30.0
#: Groups are read by so many at a time.
GROUPS_PER_PAGE = 200
#: Users of one look; the next look goes on behind them.
USERS_PER_LOOK = 50
#: Questions to the Hub at a time: it answers users, too.
QUESTIONS_AT_A_TIME = 4


class HubWatch:
    """Finds tenants whose user or group is gone, and lets them be dormant."""

    def __init__(
        self,
        database: Database,
        identities: IdentitySource,
        succession: Succession,
        on_change: Callable[[], None],
    ) -> None:
        """Make a watch.

        Args:
            database: where tenants are kept.
            identities: the Hub.
            succession: lets tenants be dormant.
            on_change: called after that, so that what is running looks again.
        """
        self._database = database
        self._identities = identities
        self._succession = succession
        self._on_change = on_change
        self._questions = asyncio.Semaphore(QUESTIONS_AT_A_TIME)
        self._user_place = ""

    async def run(self) -> None:
        """Look for ever, the first time at once: who went while nobody looked is gone."""
        while True:
            try:
                await self.look()
            except UnavailableError:
                logs.log(logger, logging.WARNING, "hub_does_not_answer")
            except Exception as error:
                logs.log_exception(logger, "look_failed", error)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once.

        Raises:
            UnavailableError: the Hub did not answer; who was found before is dormant all the same.
        """
        if not await self._identities.may_look():
            logs.log(logger, logging.WARNING, "hub_hides_users_or_groups")
            return
        place = ""
        while groups := await self._awake("group", place, GROUPS_PER_PAGE):
            await self._look_at(groups, self._group_is_gone, "group_gone")
            place = groups[-1]["id"]
        users = await self._awake("user", self._user_place, USERS_PER_LOOK)
        await self._look_at(users, self._user_is_gone, "user_gone")
        self._user_place = users[-1]["id"] if users else ""

    async def _awake(self, kind: str, place: str, limit: int) -> list[Row]:
        return await self._database.read(lambda c: statements.awake(c, kind, place, limit))

    async def _look_at(
        self, tenants: list[Row], is_gone: Callable[[Row], Awaitable[bool]], reason: str
    ) -> None:
        looks = [self._look_at_one(tenant, is_gone, reason) for tenant in tenants]
        for found in await asyncio.gather(*looks, return_exceptions=True):
            if isinstance(found, BaseException):
                raise found

    async def _look_at_one(
        self, tenant: Row, is_gone: Callable[[Row], Awaitable[bool]], reason: str
    ) -> None:
        async with self._questions:
            if not await is_gone(tenant):
                return
        if await self._database.write(lambda c: self._succession.retire(c, tenant, reason)):
            self._on_change()

    async def _group_is_gone(self, tenant: Row) -> bool:
        return not await self._identities.has_group(tenant["hub_name"])

    async def _user_is_gone(self, tenant: Row) -> bool:
        user = await self._identities.user(tenant["hub_name"])
        if user is None:
            return True
        known, said = tenant["hub_created_at"], user.created_at
        return known is not None and said is not None and said > known
