"""The commands that look into a running node: `trace` and `explain`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, Final

import click

from actors.trace.recorder import LONGEST_SECONDS, TraceEvent
from node.ladder import Style, ladder
from node.pcapng import PcapngWriter
from node.trace.conversations import Conversations
from node.trace.event_json import NotATraceLine, TraceEnd, read_line
from node.trace.management_client import ManagementError, ask_explain, stream_trace
from protocols.identity import Imsi

DEFAULT_URL: Final = "http://127.0.0.1:8081"


class _ImsiType(click.ParamType[Imsi]):
    """An IMSI on the command line."""

    name = "imsi"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> Imsi:
        """Check it."""
        try:
            return Imsi(value)
        except ValueError as error:
            self.fail(f"{value}: {error}", param, ctx)


_imsi = click.option(
    "--imsi", required=True, type=_ImsiType(), help="The subscriber, 6 to 15 digits."
)
_management = click.option(
    "--management",
    "url",
    default=DEFAULT_URL,
    show_default=True,
    envvar="ENTITLEMENT_MANAGEMENT",
    show_envvar=True,
    metavar="URL",
    help="The node's management listener ([management] listen).",
)


@click.command()
@_imsi
@click.option(
    "--seconds",
    type=click.FloatRange(0, LONGEST_SECONDS, min_open=True),
    default=60.0,
    show_default=True,
    help="How long to look.",
)
@click.option(
    "--exchanges",
    type=click.IntRange(min=1),
    metavar="N",
    help="End after N exchanges instead of waiting for the time to pass.",
)
@click.option(
    "--pcapng",
    "capture",
    type=click.File("wb"),
    metavar="FILE",
    help="Write a capture for Wireshark as well: Diameter as it was, HTTP without its TLS.",
)
@_management
@click.option(
    "--show-secrets",
    is_flag=True,
    help="Show tokens, cookies, RES, MAC, MSK, EIDs and activation codes. Without it they never "
    "leave the node.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, no ladders.")
def trace(
    imsi: Imsi,
    seconds: float,
    exchanges: int | None,
    capture: BinaryIO | None,
    url: str,
    show_secrets: bool,
    as_json: bool,
) -> None:
    """Watch what happens to one subscriber, decoded.

    Starts at once; then let the phone ask (switch VoWiFi off and on, or airplane mode). Each
    exchange is printed when it is over: every HTTP message and every Diameter message with its
    EAP packet, the times, the document, and why it says what it says. Of eSIM orders also what
    the SM-DP+ (ES2+) and the business systems are asked. Ctrl-C ends it.

    \b
    The next attempt of a phone:   trace --imsi 001010000000001 --exchanges 1
    For a colleague:               trace --imsi 001010000000001 --pcapng phone.pcapng
    Keep it for a script:          trace --imsi 001010000000001 --json > phone.ndjson
    """
    _say(f"tracing {imsi} for {seconds:g} s at {url}; Ctrl-C ends it")
    with ExitStack() as stack:
        lines = stream_trace(url, imsi, seconds, show_secrets)
        stack.callback(getattr(lines, "close", lambda: None))
        show = _printer(as_json, show_secrets)
        writer = PcapngWriter(capture) if capture is not None else None
        try:
            shown = _watch(lines, show, writer, as_json, exchanges)
        except (ManagementError, NotATraceLine) as error:
            raise click.ClickException(str(error)) from None
        except KeyboardInterrupt:
            return
    if not shown:
        _say("no exchange of this subscriber was seen. Did the phone reach this node?")


def _printer(as_json: bool, show_secrets: bool) -> Callable[[list[TraceEvent]], None]:
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    style = Style(colour=colour, show_secrets=show_secrets)

    def show(events: list[TraceEvent]) -> None:
        if not as_json:
            click.echo(ladder(events, style), color=colour)

    return show


def _watch(
    lines: Iterator[bytes],
    show: Callable[[list[TraceEvent]], None],
    writer: PcapngWriter | None,
    as_json: bool,
    limit: int | None,
) -> int:
    """Show the exchanges of a stream; returns how many there were."""
    conversations = Conversations()
    shown = 0
    for line in lines:
        event = read_line(line)
        if isinstance(event, TraceEnd):
            if event.lost:
                _say(f"{event.lost} events were lost: this reader was too slow")
            break
        if event is None:
            over = conversations.quiet()
        else:
            if as_json:
                click.echo(line, nl=False)
            if writer is not None:
                writer.add(event)
            over = conversations.add(event)
        for events in over:
            show(events)
            shown += _is_exchange(events)
            if shown == limit:
                return shown
    for events in conversations.rest():
        show(events)
        shown += _is_exchange(events)
    return shown


def _is_exchange(events: list[TraceEvent]) -> bool:
    """Whether a device asked; orders also go on by themselves."""
    return any(event.leg == "http" for event in events)


@click.command()
@_imsi
@click.option(
    "--app",
    required=True,
    metavar="APP[,APP…]",
    help="ap2003 voice, ap2004 VoWiFi, ap2005 SMS over IP, ap2010 data plan, …",
)
@click.option("--tenant", help="Its id; found by the IMSI without it.")
@click.option(
    "--entitlement-version",
    default="12.0",
    show_default=True,
    metavar="VERSION",
    help="What the device would send.",
)
@click.option("--language", default="", help="What the device would send, such as fr.")
@_management
@click.option("--json", "as_json", is_flag=True, help="The steps as JSON.")
def explain(
    imsi: Imsi,
    app: str,
    tenant: str | None,
    entitlement_version: str,
    language: str,
    url: str,
    as_json: bool,
) -> None:
    """Say what a subscriber would get for one or more apps, and why.

    Asks the running node, which looks the subscriber up and decides as it would for a device. It
    changes nothing and asks no AAA.

    \b
    Why is VoWiFi greyed out?   explain --imsi 001010000000001 --app ap2004
    What a phone asks for:      explain --imsi 001010000000001 --app ap2003,ap2004,ap2005
    As an old phone sees it:    explain --imsi 001010000000001 --app ap2003 \\
                                        --entitlement-version 2.0 --language fr
    """
    query = {
        "imsi": str(imsi),
        "app": app,
        "tenant": tenant or "",
        "entitlement_version": entitlement_version,
        "language": language,
    }
    try:
        steps = ask_explain(url, query)
    except ManagementError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        click.echo(json.dumps(steps, indent=2, ensure_ascii=False))
        return
    for step in steps:
        for line in _step_lines(step, 0):
            click.echo(line)


def _step_lines(value: dict[str, Any] | list[Any], depth: int) -> Iterator[str]:
    """`name: value` a line; what is nested, and text of several lines, indented below its name."""
    pairs = value.items() if isinstance(value, dict) else (("-", item) for item in value)
    indent = "  " * depth
    for name, item in pairs:
        label = name if name == "-" else f"{name}:"
        if isinstance(item, dict | list) and item:
            yield f"{indent}{label}"
            yield from _step_lines(item, depth + 1)
        elif isinstance(item, str) and "\n" in item:
            yield f"{indent}{label}"
            yield from (f"{indent}  {line}" for line in item.splitlines())
        else:
            yield f"{indent}{label} {_plain(item)}"


def _plain(value: object) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _say(text: str) -> None:
    click.echo(text, err=True)
