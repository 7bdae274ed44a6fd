"""SIPp's keys on a terminal: + - * / change the rate, q ends the run."""

import contextlib
import os
import sys
import termios
import tty
from collections.abc import Iterator
from typing import Final, Protocol

import trio

STEPS: Final = {"+": 1, "-": -1, "*": 10, "/": -10}  # in steps of call-rate-scale


class Adjustable(Protocol):
    """What the keys act on: the scheduler."""

    def adjust(self, change: float) -> None:
        """Add to the rate, calls a second."""
        ...

    def stop(self) -> None:
        """Make no more calls."""
        ...


def obey(key: str, scheduler: Adjustable, scale: float) -> None:
    """Do what a key says; other keys do nothing."""
    if key == "q":
        scheduler.stop()
    elif key in STEPS:
        scheduler.adjust(STEPS[key] * scale)


@contextlib.contextmanager
def single_keys(descriptor: int) -> Iterator[None]:
    """Keys come at once and are not echoed; Ctrl-C still is Ctrl-C."""
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


async def read_keys(scheduler: Adjustable, scale: float) -> None:
    """Obey the keyboard until cancelled; returns at once when there is none."""
    if not sys.stdin.isatty():
        return
    descriptor = sys.stdin.fileno()
    with single_keys(descriptor):
        while True:
            await trio.lowlevel.wait_readable(descriptor)
            for key in os.read(descriptor, 64).decode("ascii", "ignore"):
                obey(key, scheduler, scale)
