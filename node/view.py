"""What the management listener shows: a node of one process, or all workers of a larger one."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from dataclasses import replace
from inspect import isawaitable
from typing import Any, Final, Protocol

import msgspec
import trio

from actors.trace.recorder import TraceEvent, TraceRecorder
from node.metrics import Metrics, expose
from node.trace.event_json import HEARTBEAT, end_line, event_line
from node.trace.redaction import redacted
from protocols.identity import Imsi

TRACE_BOUND: Final = 1_000  # events that wait for a slow reader: a few MB
HEARTBEAT_SECONDS: Final = 1.0  # the reader learns that an exchange is over; we, that it left

Steps = list[dict[str, Any]]
Explain = Callable[[str | None, str, str, str, str], Steps | Awaitable[Steps]]
Readiness = Mapping[str, Callable[[], str]]
Lines = AbstractAsyncContextManager[AsyncIterator[bytes]]


class View(Protocol):
    """Everything that is asked about a node."""

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """Whether devices may be sent here, and what each part says."""
        ...

    async def metrics(self) -> bytes:
        """The text for Prometheus."""
        ...

    async def statistics(self) -> dict[str, Any]:
        """Every part's statistics, as plain objects."""
        ...

    def trace(self, imsi: Imsi, seconds: float, *, hide: bool) -> Lines:
        """A trace as lines (`node/trace/event_json.py`); leaving the block disarms it.

        Args:
            hide: without secrets.

        Raises:
            ValueError: on entering: the time is zero, negative or too long.
            TooManyTraces: on entering: as many as allowed are running.
        """
        ...

    async def explain(
        self, tenant: str | None, imsi: Imsi, app: str, version: str, language: str
    ) -> Steps:
        """The steps of the decision for a subscriber.

        Raises:
            LookupError: there is no such thing.
            ValueError: the question makes no sense.
        """
        ...


class OwnView:
    """The view of one process."""

    def __init__(
        self,
        *,
        metrics: Metrics,
        recorder: TraceRecorder,
        readiness: Readiness,
        explain: Explain,
        prefix: str = "",
    ) -> None:
        """Put the parts together.

        Args:
            metrics: what the process counts.
            recorder: arms traces.
            readiness: by part (`listener`, `diameter`, `store`, …), why it is not ready; empty
                when it is.
            explain: (tenant or None, imsi, app, entitlement_version, language) to one object for
                each step of the decision; raises `LookupError` for what does not exist.
            prefix: of the names of exchanges in traces, which each worker counts by itself.
        """
        self._prefix = prefix
        self._metrics = metrics
        self._recorder = recorder
        self._readiness = readiness
        self._explain = explain

    async def ready(self) -> tuple[bool, dict[str, Any]]:
        """See `View`."""
        reasons = {part: reason() for part, reason in self._readiness.items()}
        is_ready = not any(reasons.values())
        parts = {part: reason or "ready" for part, reason in reasons.items()}
        return is_ready, {"ready": is_ready, "parts": parts}

    async def metrics(self) -> bytes:
        """See `View`."""
        families = self._metrics.families()  # a copy: the text is made beside the loop
        return await trio.to_thread.run_sync(expose, families)

    def dump(self) -> bytes:
        """The numbers for another process."""
        return self._metrics.dump()

    async def statistics(self) -> dict[str, Any]:
        """See `View`."""
        return self._metrics.statistics()

    @asynccontextmanager
    async def trace(
        self, imsi: Imsi, seconds: float, *, hide: bool
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """See `View`."""
        with self._recorder.arm(imsi, seconds, TRACE_BOUND) as trace:

            async def lines() -> AsyncGenerator[bytes, None]:
                over = False
                while not over:
                    event: TraceEvent | None = None
                    with trio.move_on_after(HEARTBEAT_SECONDS):
                        event = await anext(trace, None)
                        over = event is None
                    if event is not None:
                        event = replace(event, exchange=self._prefix + event.exchange)
                        yield event_line(redacted(event) if hide else event)
                    else:
                        yield end_line(trace.lost) if over else HEARTBEAT

            async with aclosing(lines()) as stream:
                yield stream

    async def explain(
        self, tenant: str | None, imsi: Imsi, app: str, version: str, language: str
    ) -> Steps:
        """See `View`."""
        steps = self._explain(tenant, imsi, app, version, language)
        return await steps if isawaitable(steps) else steps


def as_json(content: object) -> bytes:
    """An object of a view as JSON, for a person as well."""
    encoded = msgspec.json.encode(content, enc_hook=str)
    return msgspec.json.format(encoded, indent=2) + b"\n"
