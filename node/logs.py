"""The node's log: one JSON object a line on standard error, or a form for people.

Identities are shortened and secrets taken out (`log_masking.py`), what repeats is held back and
counted, and writing never holds up the loop (`log_writer.py`). Foreign libraries that use `logging`
(Hypercorn, Quart) come out in the same form.
"""

import atexit
import logging
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import structlog

from config.model import Logging
from node.log_masking import mask_values
from node.log_writer import LogWriter

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
REPEATS: Final = 10  # of one line within the period; the next ones are counted only
PERIOD_SECONDS: Final = 10.0
DIFFERENT_LINES: Final = 1_000  # remembered; a flood of different ones starts the memory afresh
_KINDS: Final = (
    "event",
    "logger",
    "text",
    "reason",
    "peer",
    "tenant",
)  # what makes a line the same

_FIRST: Final = ("timestamp", "level", "worker", "logger", "event")

Line = structlog.typing.EventDict


class Repetitions:
    """Holds back a line that comes again and again; the next one let through says how many."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: dict[tuple[object, ...], tuple[float, int]] = {}

    def __call__(self, _logger: object, _method: str, line: Line) -> Line:
        """A structlog processor; raises `DropEvent` for a line that is held back."""
        kind = tuple(str(line.get(name)) for name in _KINDS)
        now = self._clock()
        began, count = self._seen.get(kind, (now, 0))
        if now - began >= PERIOD_SECONDS:
            if count > REPEATS:
                line["held_back"] = count - REPEATS
            began, count = now, 0
        elif kind not in self._seen and len(self._seen) >= DIFFERENT_LINES:
            self._seen.clear()
        self._seen[kind] = (began, count + 1)
        if count >= REPEATS:
            raise structlog.DropEvent
        return line


class _Named:
    """The end of the chain: takes finished lines and knows the name of who logs."""

    __slots__ = ("_writer", "name")

    def __init__(self, writer: LogWriter, name: str) -> None:
        self._writer = writer
        self.name = name

    def msg(self, message: str) -> None:
        """Write a line."""
        self._writer.write(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


class _FromLogging(logging.Handler):
    """Brings the records of foreign libraries into the same chain."""

    def emit(self, record: logging.LogRecord) -> None:
        """Log the record as if it were ours."""
        level = max(logging.DEBUG, record.levelno // 10 * 10)
        try:
            text = record.getMessage()
        except (TypeError, ValueError):  # arguments that do not fit their format
            text = str(record.msg)
        get_logger(record.name).log(level, text, exc_info=record.exc_info or None)


def configure_logging(
    settings: Logging,
    writer: LogWriter | None = None,
    clock: Callable[[], float] = time.monotonic,
    worker: int | None = None,
) -> LogWriter:
    """Set the log of this process up, once more after a reload.

    Args:
        settings: [logging] of the configuration.
        writer: where lines go; standard error if none is given.
        clock: seconds, for lines that repeat.
        worker: number of this process, in every line; 0 is the supervisor of the others, None a
            process that is the whole node.
    """
    if writer is None:
        writer = LogWriter()
        atexit.register(writer.close)
    level = LEVELS[settings.level]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            _add_name,
            *([] if worker is None else [partial(_add_worker, worker)]),
            Repetitions(clock),
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,
            *_renderers(settings.format),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *names: _Named(writer, str(names[0]) if names else "node"),
        cache_logger_on_first_use=False,  # a reload may change the level
    )
    logging.basicConfig(handlers=[_FromLogging()], level=level, force=True)
    # A line for each request, which the SM-DP+ are asked in millions.
    logging.getLogger("httpx2").setLevel(max(level, logging.WARNING))
    logging.raiseExceptions = False  # never a traceback of the log itself on standard error
    return writer


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part, such as `listener`."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(name)
    return logger


def _renderers(form: str) -> list[Any]:
    if form == "console":
        return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    return [_reordered, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _reordered(_logger: object, _method: str, line: Line) -> Line:
    """What a reader looks for first comes first."""
    return {**{name: line.pop(name) for name in _FIRST if name in line}, **line}


def _add_name(logger: _Named, _method: str, line: Line) -> Line:
    line["logger"] = logger.name
    return line


def _add_worker(worker: int, _logger: object, _method: str, line: Line) -> Line:
    line["worker"] = worker
    return line


def _mask(_logger: object, _method: str, line: Line) -> Line:
    return mask_values(line)
