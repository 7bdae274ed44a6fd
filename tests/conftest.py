"""What every test shares."""

import os
from collections.abc import Generator

import pytest

from tests.actors.store.engines import kit, postgres, server

__all__ = ["kit", "postgres", "server"]  # fixtures of the store's engines


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI is set no test may skip: a missing peer is a failure of the set-up."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"
    return report
