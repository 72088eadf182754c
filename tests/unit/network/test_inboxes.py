"""Reply subjects that share one subscription."""

import asyncio

import pytest

from adaptery.errors import UnavailableError
from adaptery_network.inboxes import Inboxes
from support.loop_transport import LoopBus, LoopTransport
from support.waiting import eventually


class Reader:
    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.losses = 0

    def take(self, message) -> None:
        self.heard.append(message.payload)

    def lose(self) -> None:
        self.losses += 1


@pytest.fixture
def bus():
    return LoopBus()


@pytest.fixture
async def transport(bus):
    made = LoopTransport(bus, "service")
    yield made
    await made.close()


async def test_each_reader_hears_what_came_to_its_subject_and_all_share_a_subscription(
    bus, transport
):
    inboxes, readers = Inboxes(transport), [Reader() for _ in range(3)]
    opened = await asyncio.gather(*(inboxes.open(r.take, r.lose) for r in readers))
    assert len({inbox.subject for inbox in opened}) == 3
    assert len(bus.subscriptions) == 1
    for number, inbox in enumerate(opened):
        await transport.publish(inbox.subject, b"%d" % number)
    await eventually(lambda: [r.heard for r in readers] == [[b"0"], [b"1"], [b"2"]])


async def test_what_comes_after_the_end_is_heard_by_nobody(transport):
    inboxes, reader, other = Inboxes(transport), Reader(), Reader()
    inbox = await inboxes.open(reader.take, reader.lose)
    staying = await inboxes.open(other.take, other.lose)
    inbox.close()
    await transport.publish(inbox.subject, b"late")
    await transport.publish(staying.subject, b"in time")
    await eventually(lambda: other.heard == [b"in time"])
    assert reader.heard == []


async def test_a_lost_connection_ends_all_replies_and_their_subjects(bus, transport):
    inboxes, reader = Inboxes(transport), Reader()
    before = await inboxes.open(reader.take, reader.lose)
    transport.lose()
    assert reader.losses == 1
    with pytest.raises(UnavailableError):
        await inboxes.open(reader.take, reader.lose)
    transport.connected = True
    after = await inboxes.open(reader.take, reader.lose)
    await eventually(lambda: len(bus.subscriptions) == 1)
    asking = Reader()
    asker = LoopTransport(bus, "agent")
    await asker.hear("_INBOX_agent.left", asking.take)
    await asker.publish(before.subject, b"frame", "_INBOX_agent.left")  # nobody listens: told so
    await asker.publish(after.subject, b"frame", "_INBOX_agent.left")
    await eventually(lambda: (asking.heard, reader.heard) == ([b""], [b"frame"]))
    await asker.close()
