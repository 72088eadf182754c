"""Seats for long work: one tenant's hundred pieces of work keep nobody else's waiting."""

from __future__ import annotations

import asyncio

import pytest

from adaptery_hub.fair_seats import FairSeats


class Room:
    """Work that sits until it is told to go."""

    def __init__(self, seats: int) -> None:
        self._seats = FairSeats(seats)
        self._go: dict[str, asyncio.Event] = {}
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self.seated: list[str] = []

    async def come(self, tenant: str, *names: str) -> None:
        """Let work of a tenant come, in order."""
        for name in names:
            self._go[name] = asyncio.Event()
            self.tasks[name] = asyncio.create_task(self._work(tenant, name))
        await self.settle()

    async def leave(self, name: str) -> None:
        """Let work end."""
        self._go[name].set()
        await self.tasks[name]
        await self.settle()

    async def settle(self) -> None:
        """Let everybody go as far as they can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def _work(self, tenant: str, name: str) -> None:
        async with self._seats.seat(tenant):
            self.seated.append(name)
            await self._go[name].wait()


async def test_one_tenant_never_has_every_seat() -> None:
    room = Room(3)
    await room.come("a", "a1", "a2", "a3", "a4")
    assert room.seated == ["a1", "a2"]
    await room.come("b", "b1")
    assert room.seated == ["a1", "a2", "b1"]


async def test_who_has_the_fewest_seats_is_next_then_who_had_a_turn_longest_ago() -> None:
    room = Room(2)
    await room.come("a", "a1", "a2", "a3")
    await room.come("b", "b1", "b2")
    await room.come("c", "c1")
    assert room.seated == ["a1", "b1"]
    await room.leave("a1")
    assert room.seated[2:] == ["c1"]
    await room.leave("b1")
    assert room.seated[3:] == ["a2"]
    await room.leave("c1")
    assert room.seated[4:] == ["b2"]


async def test_a_single_seat_is_for_everyone() -> None:
    room = Room(1)
    await room.come("a", "a1", "a2")
    await room.leave("a1")
    assert room.seated == ["a1", "a2"]


@pytest.mark.parametrize("name", ["a1", "a2", "b1"])
async def test_who_is_cancelled_keeps_no_seat(name: str) -> None:
    room = Room(2)
    await room.come("a", "a1", "a2")
    await room.come("b", "b1", "b2")
    room.tasks.pop(name).cancel()
    await room.settle()
    for left in list(room.tasks):
        await room.leave(left)
    assert set(room.seated) >= {"a1", "a2", "b1", "b2"} - {name}
    await room.come("c", "c1")
    await room.come("d", "d1")
    assert room.seated[-2:] == ["c1", "d1"]
