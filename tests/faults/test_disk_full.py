"""The disk of the database is full: tokens are served, nothing new is promised, no restart."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import run

import pytest

from scripts.lab.aaa_running import HOST
from tests.faults.aaa_process import aaa_process
from tests.faults.fault_node import FaultNode, fault_node
from tests.faults.report import Report
from tests.faults.rest import at_rest
from tests.node.whole.lab_folder import LabFolder

pytestmark = [pytest.mark.faults, pytest.mark.slow]

DISK_OCTETS = 12 << 20


@contextmanager
def small_disk(folder: Path) -> Iterator[bool]:
    """A file system of its own in `folder`; False where nobody may mount one."""
    folder.mkdir()
    mounted = (
        run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_OCTETS}", "tmpfs", str(folder)],
            capture_output=True,
            check=False,
        ).returncode
        == 0
    )
    try:
        yield mounted
    finally:
        if mounted:
            run(["umount", "--lazy", str(folder)], check=True)


class FullDisk:
    """Fills a file system with a file of zeros."""

    def __init__(self, folder: Path) -> None:
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Until nothing more fits."""
        with self._filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                try:
                    while file.write(bytes(size)):
                        pass
                except OSError:
                    continue

    def free(self) -> None:
        """As before."""
        self._filler.unlink()


class SmallFiles:
    """Forbids a process to let its files grow (RLIMIT_FSIZE, EFBIG)."""

    def __init__(self, node: FaultNode) -> None:
        self._pid = node.process.pid

    def fill(self) -> None:
        """No file of it may be longer than a page."""
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, (4_096, resource.RLIM_INFINITY))

    def free(self) -> None:
        """As before."""
        whatever = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self._pid, resource.RLIMIT_FSIZE, whatever)


@pytest.mark.parametrize("how", ["file system", "file size"])
async def test_a_full_disk_stops_new_tokens_alone_and_is_recovered_from(
    lab: LabFolder, tmp_path: Path, report: Report, how: str
) -> None:
    with small_disk(tmp_path / "disk") as mounted:
        if how == "file system" and not mounted:
            how = "file size"  # the same promises, another error of the kernel
        async with (
            aaa_process() as aaa,
            fault_node(lab, tmp_path / "disk", [(HOST, aaa.port)]) as node,
        ):
            disk = FullDisk(tmp_path / "disk") if how == "file system" else SmallFiles(node)
            known = node.device(1)
            await known.authenticate()

            async def room_again() -> None:
                assert (await node.get("/live"))[0] == 200
                assert (await known.ask_with_token()).statuses == [200]
                disk.free()

            disk.fill()
            new = node.device(2)
            new.pause = room_again
            visit = await new.authenticate()
            report.add(how, visit)
            assert visit.statuses == [200, 503, 200, 200]  # the 503, and both legs again
            for device in (known, new):
                assert (await device.ask_with_token()).statuses == [200]
            await node.ready()
            await at_rest(node)
            assert node.process.returncode is None
