"""What the management listener shows of a node with several workers."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, Final, cast

import msgspec
import trio

from node.metrics import expose
from node.statistics_families import Sheet
from node.view import Steps
from node.workers.merged_metrics import MergedMetrics, counters_of
from node.workers.merged_trace import MergedTrace
from node.workers.process import WorkerProcess, WorkerSilent
from node.workers.slot import Slot
from protocols.identity import Imsi

ANSWER_SECONDS: Final = 2.0  # for a worker; its loop turns hundreds of times in it


class MergedView:
    """`node.view.View` of all workers."""

    def __init__(
        self,
        slots: Sequence[Slot],
        *,
        problem: Callable[[], str],
        statistics: Callable[[], object],
    ) -> None:
        """Take the parts.

        Args:
            slots: the workers' places.
            problem: why the node as a whole is not ready; empty when nothing is wrong.
            statistics: of the supervisor.
        """
        self._slots = slots
        self._problem = problem
        self._statistics = statistics
        self._metrics = MergedMetrics()
        self._traces: list[MergedTrace] = []

    # --- what the supervisor tells --------------------------------------------------------------

    def serving(self, process: WorkerProcess) -> None:
        """A worker serves: it belongs to the traces that run."""
        for trace in self._traces:
            trace.add(process)

    def ended(self, process: WorkerProcess) -> None:
        """A worker has ended: what it counted stays."""
        self._metrics.ended(process)

    # --- View -----------------------------------------------------------------------------------

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Ready when nothing stops the node as a whole and at least one worker is ready.

        A worker that is being replaced takes nothing away: devices wait in its queue meanwhile.
        """
        workers = await self._ask_current("ready")
        shown: dict[str, Any] = {}
        for slot in self._slots:
            answer = workers.get(slot.number)
            if answer is not None:
                said = msgspec.json.decode(answer)
            else:
                said = {"ready": False, "parts": {"process": _state(slot)}}
            pid = slot.current.pid if slot.current is not None else 0
            shown[str(slot.number)] = {"pid": pid, **said}
        count = sum(one["ready"] for one in shown.values())
        parts = {
            "node": self._problem() or "ready",
            "workers": "ready" if count else "none is ready",
        }
        is_ready = all(one == "ready" for one in parts.values())
        body = {
            "ready": is_ready,
            "parts": parts,
            "ready_workers": count,
            "workers": shown,
        }
        return is_ready, body

    async def metrics(self) -> bytes:
        """Added up over workers; process_… is the supervisor, entitlement_worker_… the workers."""
        families = await self._families()
        return await trio.to_thread.run_sync(expose, families)

    async def _families(self) -> list[Any]:
        processes = self._talking()
        answers = await _ask_all(processes, "dump")
        for process, dump in answers.items():
            self._metrics.said(process, dump)
        sheet = Sheet()
        sheet.add("supervisor", self._statistics())
        silent = [one for one in processes if one not in answers]
        return [*self._metrics.families(silent), *sheet.families.values()]

    async def statistics(self) -> dict[str, Any]:
        """The counters added up, and every part of every worker."""
        answers = await self._ask_current("statistics")
        workers = {number: msgspec.json.decode(body) for number, body in answers.items()}
        known = {name for one in workers.values() for name in one.get("counters", {})}
        return {
            "counters": counters_of(await self._families(), known.__contains__),
            "supervisor": msgspec.to_builtins(self._statistics(), enc_hook=str),
            "workers": {
                str(number): {part: shown for part, shown in one.items() if part != "counters"}
                for number, one in workers.items()
            },
        }

    @asynccontextmanager
    async def trace(
        self, imsi: Imsi, seconds: float, *, hide: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `View`."""
        trace = MergedTrace(str(imsi), seconds, hide=hide)
        try:
            await trace.arm(self._talking())
            self._traces.append(trace)
            async with aclosing(trace.lines()) as lines:
                yield lines
        finally:
            trace.close()
            if trace in self._traces:
                self._traces.remove(trace)

    async def explain(
        self, tenant: str | None, imsi: Imsi, app: str, version: str, language: str
    ) -> Steps:
        """Asks one worker: they all have the same subscribers and rules."""
        question = {
            "tenant": tenant or "",
            "imsi": str(imsi),
            "app": app,
            "version": version,
            "language": language,
        }
        for process in self._talking():
            try:
                answer = await process.ask("explain", question, ANSWER_SECONDS)
            except WorkerSilent:
                continue
            return cast("Steps", msgspec.json.decode(answer))
        raise LookupError("no worker answers")

    # --- asking ---------------------------------------------------------------------------------

    def _talking(self) -> list[WorkerProcess]:
        """All processes that serve, or are leaving."""
        return [
            process
            for slot in self._slots
            for process in slot.processes
            if process.serving.is_set() and not process.ended.is_set()
        ]

    async def _ask_current(self, what: str) -> dict[int, bytes]:
        current = [one.current for one in self._slots]
        asked = [one for one in current if one is not None and one.serving.is_set()]
        return {one.number: answer for one, answer in (await _ask_all(asked, what)).items()}


async def _ask_all(processes: Sequence[WorkerProcess], what: str) -> dict[WorkerProcess, bytes]:
    """What each of them answers; those that do not are left out."""
    answers: dict[WorkerProcess, bytes] = {}

    async def ask(process: WorkerProcess) -> None:
        try:
            answers[process] = await process.ask(what, {}, ANSWER_SECONDS)
        except WorkerSilent:
            return

    async with trio.open_nursery() as nursery:
        for process in processes:
            nursery.start_soon(partial(ask, process))
    return answers


def _state(slot: Slot) -> str:
    """What a worker that does not answer is doing."""
    process = slot.current
    if process is None or process.ended.is_set():
        return "is being started again"
    return "does not answer" if process.serving.is_set() else "is starting"
