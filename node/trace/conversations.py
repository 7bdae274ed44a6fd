"""Sorts a stream of trace events into exchanges, and says when one is over."""

from collections.abc import Iterator

from actors.trace.recorder import TraceEvent
from protocols.http.message import HttpResponse

EAP_RELAY_TYPE = b"application/vnd.gsma.eap-relay"
ORDER_LEGS = ("es2+", "bss")


class Conversations:
    """The exchanges under way.

    An exchange is over with the response that is no challenge. What still follows it (STR, a
    counter-reading of the store) comes at once, so it is handed out when nothing came for a moment.
    What an order does while a device waits belongs to the device's exchange; what it does later is
    a conversation of its own.
    """

    def __init__(self) -> None:
        self._open: dict[str, list[TraceEvent]] = {}
        self._over: dict[str, None] = {}  # in the order in which they ended

    def add(self, event: TraceEvent) -> Iterator[list[TraceEvent]]:
        """Take an event; gives an exchange that is over when its next one begins."""
        if event.leg in ORDER_LEGS:
            self._add_to_waiting(event)
            return
        if event.exchange in self._over and event.leg == "http" and event.direction == "in":
            yield self._take(event.exchange)
        self._open.setdefault(event.exchange, []).append(event)
        if is_final(event):
            self._over[event.exchange] = None

    def _add_to_waiting(self, event: TraceEvent) -> None:
        """To the newest exchange whose device waits; else it is one of its own, over any time."""
        waiting = [name for name, events in self._open.items() if _is_waiting(events)]
        name = waiting[-1] if waiting else event.exchange
        self._open.setdefault(name, []).append(event)
        if not waiting:
            self._over[name] = None

    def quiet(self) -> Iterator[list[TraceEvent]]:
        """Nothing came for a moment: gives every exchange that is over."""
        for exchange in list(self._over):
            yield self._take(exchange)

    def rest(self) -> Iterator[list[TraceEvent]]:
        """The stream is over: gives everything, finished or not."""
        for exchange in list(self._open):
            yield self._take(exchange)

    def _take(self, exchange: str) -> list[TraceEvent]:
        self._over.pop(exchange, None)
        return self._open.pop(exchange)


def is_final(event: TraceEvent) -> bool:
    """Whether the device got its answer, not another challenge."""
    payload = event.payload
    if event.leg != "http" or not isinstance(payload, HttpResponse):
        return False
    return not payload.content_type.startswith(EAP_RELAY_TYPE)


def _is_waiting(events: list[TraceEvent]) -> bool:
    """Whether the device asked and got no answer yet."""
    last = next((event for event in reversed(events) if event.leg == "http"), None)
    return last is not None and last.direction == "in"
