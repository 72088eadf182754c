"""Tasks that are ready together go one by one."""

import asyncio

from adaptery.single_file import SingleFile


async def test_who_is_alone_goes_at_once():
    line = SingleFile()
    going = line.go()
    try:
        going.send(None)
    except StopIteration:
        return
    raise AssertionError("it waited")


async def test_those_who_come_together_go_in_their_order_a_round_apart():
    line, rounds, gone = SingleFile(), 0, []

    async def one(number: int) -> None:
        await line.go()
        gone.append((number, rounds))

    tasks = [asyncio.create_task(one(number)) for number in range(5)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        rounds += 1
    assert [number for number, _ in gone] == list(range(5))
    assert len({at for _, at in gone}) == 5


async def test_who_leaves_the_line_keeps_nobody_waiting():
    line = SingleFile()
    tasks = [asyncio.create_task(line.go()) for _ in range(4)]
    await asyncio.sleep(0)
    for task in tasks[1:3]:
        task.cancel()
    await asyncio.wait_for(tasks[3], 5)
    await line.go()
