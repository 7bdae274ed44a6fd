"""SIGTERM and SIGHUP end the lab by an exception, so that every block ends its process."""

import contextlib
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Final, NoReturn

SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


def obey() -> None:
    """From now on they raise SystemExit, unless they were ignored before (nohup)."""
    for number in obeyed():
        signal.signal(number, lambda told, _frame: end(told))


def obeyed() -> list[signal.Signals]:
    """Those that are not ignored."""
    return [one for one in SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]


def end(number: int) -> NoReturn:
    """Raise the exception; further signals come too late to interrupt what it brings about.

    Raises:
        SystemExit: with the status of a process that the signal ended.
    """
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(128 + number)


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Raise at the end of the block only: a process must not start that nobody knows of."""
    told: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {number: signal.signal(number, keep) for number in obeyed()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if told:
        end(told[0])
