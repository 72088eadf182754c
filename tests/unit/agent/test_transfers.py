import asyncio
import os

import pytest

from adaptery.errors import IntegrityError, InvalidInputError, UnavailableError
from adaptery_network.agent.lines import Backoff, PatientLine
from adaptery_network.agent.transfers import CHUNK_BYTES, fetch_folder, in_window, send_folder
from support.agent_side.desk import DeskLine, ServiceDesk, digest_of

BIG = os.urandom(3 * CHUNK_BYTES + 17)


def patient(desk):
    return PatientLine(DeskLine(desk), Backoff(0.001, 0.01))


async def test_a_folder_comes_over_whole_also_on_a_flaky_link(tmp_path):
    desk = ServiceDesk()
    desk.offered = {"inputs/0/data.parquet": BIG, "inputs/0/empty": b"", "inputs/1/m.json": b"{}"}
    desk.flaky = 5
    await fetch_folder(patient(desk), tmp_path)
    got = {str(p.relative_to(tmp_path)): p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert got == desk.offered


async def test_a_fetch_that_broke_off_goes_on_where_it_stopped(tmp_path):
    desk = ServiceDesk()
    desk.offered = {"a": BIG}
    half = digest_of(BIG).partition(":")[2]
    (tmp_path / f".{half}.part").write_bytes(BIG[: 2 * CHUNK_BYTES])
    await fetch_folder(DeskLine(desk), tmp_path)
    assert (tmp_path / "a").read_bytes() == BIG
    assert desk.counts["read"] == 2
    await fetch_folder(DeskLine(desk), tmp_path)
    assert desk.counts["read"] == 2, "a file that is whole is not fetched again"


async def test_what_is_offered_under_two_names_comes_once(tmp_path):
    desk = ServiceDesk()
    desk.offered = {"inputs/0/data": BIG, "inputs/1/data": BIG, "inputs/1/other": b"x"}
    spoilt = tmp_path / "inputs" / "1" / "data"
    spoilt.parent.mkdir(parents=True)
    spoilt.write_bytes(b"half")
    await fetch_folder(DeskLine(desk), tmp_path)
    assert spoilt.read_bytes() == (tmp_path / "inputs/0/data").read_bytes() == BIG
    reads = desk.counts["read"]
    assert reads == 4 + 1
    await fetch_folder(DeskLine(desk), tmp_path)
    assert desk.counts["read"] == reads


async def test_a_spoilt_beginning_is_thrown_away_and_a_lying_service_found_out(tmp_path):
    class LyingDesk(ServiceDesk):
        def _read(self, header, blob):
            answer, data = super()._read(header, blob)
            return answer, bytes(len(data))

    desk = ServiceDesk()
    desk.offered = {"a": BIG}
    part = tmp_path / f".{digest_of(BIG).partition(':')[2]}.part"
    part.write_bytes(b"\0" * CHUNK_BYTES)
    await fetch_folder(DeskLine(desk), tmp_path)
    assert (tmp_path / "a").read_bytes() == BIG
    liar = LyingDesk()
    liar.offered = {"b": BIG}
    with pytest.raises(IntegrityError):
        await fetch_folder(DeskLine(liar), tmp_path)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", ""])
async def test_no_path_leaves_the_folder(tmp_path, path):
    desk = ServiceDesk()
    desk.offered = {path: b"x"}
    with pytest.raises(InvalidInputError):
        await fetch_folder(DeskLine(desk), tmp_path / "inner")
    assert not list(tmp_path.rglob("evil"))


async def test_a_folder_is_sent_in_chunks_and_committed(tmp_path):
    desk = ServiceDesk()
    desk.flaky = 4
    folder = tmp_path / "checkpoints" / "step-2"
    folder.mkdir(parents=True)
    (folder / "state.bin").write_bytes(BIG)
    (folder / "empty").touch()
    facts = {"step": 2}
    line = patient(desk)
    entries = await send_folder(line, tmp_path, "checkpoints/step-2", "checkpoints/2", facts)
    assert bytes(desk.received["checkpoints/2/state.bin"]) == BIG
    assert [entry.path for entry in entries] == ["empty", "state.bin"]
    assert desk.commits[0]["step"] == 2
    assert desk.commits[0]["folder"] == "checkpoints/2"


async def test_a_folder_that_is_gone_says_so(tmp_path):
    with pytest.raises(FileNotFoundError):
        await send_folder(DeskLine(ServiceDesk()), tmp_path, "gone", "adapter")


async def test_the_window_keeps_the_order_and_its_width():
    under_way = 0
    most = 0

    def job(number):
        async def run():
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            for _ in range(5 - number % 5):
                await asyncio.sleep(0)
            under_way -= 1
            return number

        return run

    assert [n async for n in in_window(map(job, range(20)), 4)] == list(range(20))
    assert most == 4


async def test_an_error_in_the_window_ends_the_others():
    async def fail():
        raise UnavailableError

    async def hang():
        await asyncio.Event().wait()

    with pytest.raises(UnavailableError):
        async for _ in in_window([fail, hang, hang], 3):
            pass
    assert len(asyncio.all_tasks()) == 1
