"""A trace as a ladder: phone, node, and behind it AAA, SM-DP+ and business systems, decoded.

What a core engineer would draw by hand: time offsets in milliseconds, one arrow for each message,
below it what it says, at the end the document and the reason of each decision. Text that fits a
terminal and an e-mail; colour is optional. Secrets are hidden unless asked for.
"""

import datetime
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from actors.trace.recorder import TraceEvent
from node.trace.conversations import ORDER_LEGS
from node.trace.diameter_text import diameter_lines, diameter_title
from node.trace.eap_text import eap_title
from node.trace.es2plus_text import es2plus_title
from node.trace.http_text import (
    relayed_packet,
    request_lines,
    request_title,
    response_lines,
    response_title,
)
from node.trace.redaction import redacted
from protocols.http.message import HttpRequest, HttpResponse

PHONE: Final = 10  # column of each lifeline
NODE: Final = 46
AAA: Final = 94
WIDTH: Final = 132  # detail lines are folded here

_HIDDEN: Final = re.compile(r"\*{4,}")  # what redaction left; its length alone is of interest

_RESET: Final = "\x1b[0m"
_COLOURS: Final = {
    "request": "\x1b[36m",  # cyan
    "answer": "\x1b[32m",  # green
    "refusal": "\x1b[31m",  # red
    "decision": "\x1b[33m",  # yellow
    "head": "\x1b[1m",
    "detail": "\x1b[2m",
}


@dataclass(frozen=True, slots=True)
class Style:
    """How to show it."""

    colour: bool = False
    show_secrets: bool = False

    def paint(self, kind: str, text: str) -> str:
        """The text in the colour of its kind."""
        return f"{_COLOURS[kind]}{text}{_RESET}" if self.colour and text else text


def ladder(events: Sequence[TraceEvent], style: Style = Style()) -> str:
    """The events of one exchange as text, with a line end after the last line.

    Args:
        events: in the order in which they were recorded; not empty.
    """
    began = events[0].time
    lines = [*_head(events, style)]
    for event in events:
        lines += _event(event if style.show_secrets else redacted(event), began, style)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(events: Sequence[TraceEvent], style: Style) -> Iterator[str]:
    first = events[0]
    when = datetime.datetime.fromtimestamp(first.time, datetime.UTC)
    at = when.isoformat(sep=" ", timespec="milliseconds").replace("+00:00", " UTC")
    yield style.paint(
        "head", f"IMSI {first.imsi}   tenant {first.tenant}   exchange {first.exchange}   {at}"
    )
    phone = _last(event.peer for event in events if event.leg == "http")
    aaa = _last(event.peer for event in events if event.leg in ("swm", "swa"))
    smdp = _last(event.peer for event in events if event.leg == "es2+")
    bss = any(event.leg == "bss" for event in events)
    names = (f"AAA {aaa}" if aaa else "", f"SM-DP+ {smdp}" if smdp else "", "BSS" if bss else "")
    behind = ", ".join(filter(None, names))
    row = _put("", PHONE - 2, f"phone {phone}" if phone else "")
    row = _put(row, NODE - 2, "node")
    yield style.paint("head", _put(row, AAA - 2, behind) if behind else row)


def _last(names: Iterable[str]) -> str:
    return next((name for name in reversed(list(names)) if name), "")


def _event(event: TraceEvent, began: float, style: Style) -> Iterator[str]:
    offset = f"{(event.time - began) * 1000:8.1f}"
    if isinstance(event.payload, str) and event.leg not in ORDER_LEGS:
        yield from _note(event, event.payload, offset, style)
        return
    left, right = (PHONE, NODE) if event.leg == "http" else (NODE, AAA)
    rightwards = (event.leg == "http") == (event.direction == "in")
    title, details = _message(event, style.show_secrets)
    arrow = _arrow(_printable(title), right - left - 1, rightwards)
    row = f"{offset}  "
    if left == NODE:
        row += "│" + " " * (NODE - PHONE - 1)
    kind = _kind(event, title)
    yield row + "│" + style.paint(kind, arrow) + "│" + ("" if left == NODE else _beyond(NODE))
    for detail in details:
        yield from _detail(detail, left, style)


def _note(event: TraceEvent, text: str, offset: str, style: Style) -> Iterator[str]:
    label = "decision" if event.leg == "decision" else event.leg
    first, *rest = textwrap.wrap(_printable(f"{label}: {text}"), WIDTH - NODE - 4) or [label]
    indent = " " * (NODE - PHONE - 1)
    yield f"{offset}  │{indent}{style.paint('decision', '● ' + first)}"
    for line in rest:
        yield f"{' ' * PHONE}│{indent}{style.paint('decision', '  ' + line)}"


def _message(event: TraceEvent, show_secrets: bool) -> tuple[str, list[str]]:
    payload = event.payload
    if event.leg == "es2+" and not isinstance(payload, str | bytes):
        title = es2plus_title(payload)
        if isinstance(payload, HttpRequest):
            return title, request_lines(payload, show_secrets)
        return title, response_lines(payload, show_secrets)
    if isinstance(payload, HttpRequest):
        return _with_packet(request_title(payload), payload.body), request_lines(
            payload, show_secrets
        )
    if isinstance(payload, HttpResponse):
        return _with_packet(response_title(payload), payload.body), response_lines(
            payload, show_secrets
        )
    if isinstance(payload, bytes):
        return diameter_title(payload), diameter_lines(payload, show_secrets)
    return f"BSS {payload}" if event.leg == "bss" else f"ES2+ {payload}", [payload]


def _with_packet(title: str, body: bytes) -> str:
    packet = relayed_packet(body)
    if packet is None:
        return title
    name = eap_title(packet).partition(" id ")[0].rpartition("/")[2]
    return f"{title} {name}"


def _kind(event: TraceEvent, title: str) -> str:
    if event.leg in ORDER_LEGS:
        if isinstance(event.payload, HttpRequest) or (
            event.leg == "bss" and event.direction == "out"
        ):
            return "request"
        good = ("Executed", ": done", "BSS yes", " 204 ")
        return "answer" if any(word in f"{title} " for word in good) else "refusal"
    if isinstance(event.payload, HttpResponse):
        return "answer" if event.payload.status < 400 else "refusal"
    if isinstance(event.payload, bytes) and event.direction == "in":
        return "answer" if any(f" {code} " in f"{title} " for code in (1001, 2001)) else "refusal"
    return "request"


def _arrow(title: str, width: int, rightwards: bool) -> str:
    """The title on an arrow; a title that is too long is cut, the lines below have the rest."""
    room = width - 6
    if len(title) > room:
        title = title[: room - 1] + "…"
    if rightwards:
        return f"─ {title} ".ljust(width - 1, "─") + "►"
    return "◄" + f" {title} ─".rjust(width - 1, "─")


def _beyond(column: int) -> str:
    return " " * (AAA - column - 1) + "│"


def _detail(text: str, left: int, style: Style) -> Iterator[str]:
    """A line below an arrow, folded, with its own indent kept."""
    margin = " " * PHONE + "│"
    if left == NODE:
        margin += " " * (NODE - PHONE - 1) + "│"
    text = _printable(text)
    indent = " " * (len(text) - len(text.lstrip()))
    room = max(WIDTH - left - 4, 40)
    pieces = textwrap.wrap(
        _HIDDEN.sub(_how_many, text.strip()),
        room - len(indent),
        break_on_hyphens=False,
        subsequent_indent="  ",
    )
    for piece in pieces:
        yield f"{margin}   {style.paint('detail', indent + piece)}"


def _printable(text: str) -> str:
    """What came from outside must not command the reader's terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _how_many(match: re.Match[str]) -> str:
    return f"({len(match[0])} hidden)"


def _put(row: str, column: int, text: str) -> str:
    """The row with a text at a column; two blanks where it would run into what stands there."""
    return row.ljust(column) + text if len(row) < column else f"{row}  {text}"
