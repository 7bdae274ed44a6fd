"""The lab of the fault suite, and the marker of all that is in it."""

from collections.abc import Callable, Iterator

import pytest

from tests.faults.report import Report
from tests.node.whole.conftest import lab

__all__ = ["lab"]


@pytest.fixture
def report(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Iterator[Report]:
    """What the test's devices needed; shown when the test fails, kept in the JUnit report."""
    one = Report(request.node.name)
    yield one
    for row in one.rows:
        record_property(row.fault, row.text)
    one.show()
