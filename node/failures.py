"""Why the node cannot start, for the person who started it."""

from collections.abc import Iterator
from typing import Final

from actors.store.database import DatabaseRefused
from node.device.tls import CertificateError


class WorkerFailed(Exception):
    """A worker process could not start.

    Attributes:
        reasons: for a person, a line each.
    """

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = tuple(reasons)


# What is wrong with the machine or its files. Anything else is a bug and keeps its traceback.
_EXPECTED: Final = (OSError, DatabaseRefused, CertificateError, WorkerFailed)


def leaves(error: BaseException) -> Iterator[BaseException]:
    """The exceptions inside of groups, in their order; a single one as it is."""
    if isinstance(error, BaseExceptionGroup):
        for one in error.exceptions:
            yield from leaves(one)
    else:
        yield error


def reasons(error: BaseException) -> list[str]:
    """A line for each cause that a person can do away with; empty when there is another one."""
    causes = list(leaves(error))
    if not all(isinstance(one, _EXPECTED) for one in causes):
        return []
    lines = [line for one in causes for line in _lines(one)]
    return list(dict.fromkeys(lines))  # workers say the same


def _lines(error: BaseException) -> tuple[str, ...]:
    if isinstance(error, CertificateError):
        return error.problems
    if isinstance(error, WorkerFailed):
        return error.reasons
    if isinstance(error, OSError) and error.strerror:
        named = f"{error.filename}: " if error.filename else ""
        return (f"{named}{error.strerror}",)
    return (str(error),)
