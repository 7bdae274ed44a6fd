"""What eSIM orders exchange with SM-DP+ and with the business systems, for traces.

An ES2+ message names a profile or an eUICC, and a trace is of a subscriber: the order between them
is looked up in the order book, only while a trace runs.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import msgspec

from actors.trace.recorder import Direction, Leg, Payload, TraceEvent, TraceRecorder
from protocols.http.message import HttpRequest, HttpResponse


@dataclass(frozen=True, slots=True)
class Concerned:
    """An order, as far as a trace needs it.

    Attributes:
        imsis: of the subscriber who ordered, of the new line and of the old one; some may be empty.
    """

    order_id: str
    imsis: tuple[str, ...] = field(repr=False)


# By tenant, ICCID and EID, of which the message has one or both: the newest order, if there is one.
FindOrder = Callable[[str, str, str], Awaitable[Concerned | None]]
Answered = Callable[[HttpResponse | str], None]


class _Names(msgspec.Struct):
    """What an ES2+ message says of whom it is about."""

    iccid: str = ""
    eid: str = ""


_names: Final = msgspec.json.Decoder(_Names).decode


def unseen(_answer: HttpResponse | str) -> None:
    """The answer to a message that no trace wants."""


class OrderLegs:
    """Hands the legs of orders to the recorder."""

    def __init__(
        self,
        recorder: TraceRecorder,
        find: FindOrder,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the parts.

        Args:
            find: raises nothing.
            clock: wall-clock seconds.
        """
        self._recorder = recorder
        self._find = find
        self._clock = clock

    @property
    def armed(self) -> bool:
        """Whether any trace runs. Ask this first."""
        return self._recorder.armed

    async def message(
        self, tenant: str, smdp: str, request: HttpRequest, direction: Direction
    ) -> Answered:
        """Record an ES2+ request.

        Args:
            direction: `out`: to the SM-DP+; `in`: it reports.

        Returns:
            To be called with the answer, or with why there is none.
        """
        names = _Names()
        with suppress(msgspec.DecodeError):
            names = _names(request.body)
        order = await self._find(tenant, names.iccid.upper().rstrip("F"), names.eid)
        if order is None or not any(map(self._recorder.wants, order.imsis)):
            return unseen
        peer = f"{tenant}/{smdp}"
        self._record(tenant, order, "es2+", direction, request, peer)
        back: Direction = "in" if direction == "out" else "out"

        def answered(answer: HttpResponse | str) -> None:
            self._record(tenant, order, "es2+", back, answer, peer)

        return answered

    def line(self, tenant: str, order: Concerned, direction: Direction, text: str) -> None:
        """Record what the business systems are asked (`out`), or answer (`in`)."""
        self._record(tenant, order, "bss", direction, text, "")

    def _record(
        self,
        tenant: str,
        order: Concerned,
        leg: Leg,
        direction: Direction,
        payload: Payload,
        peer: str,
    ) -> None:
        exchange = f"order {order.order_id}"
        for imsi in dict.fromkeys(filter(self._recorder.wants, order.imsis)):
            # Plain text: events are encoded, which an `Imsi` cannot be.
            whose = str(imsi)
            event = TraceEvent(
                self._clock(), exchange, tenant, whose, leg, direction, payload, peer
            )
            self._recorder.record(event)
