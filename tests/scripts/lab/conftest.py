"""Certificates that all tests of the lab share."""

import pytest

from tests.scripts.lab.fake_ecs import LabTls


@pytest.fixture(scope="session")
def lab_tls(tmp_path_factory: pytest.TempPathFactory) -> LabTls:
    """One CA for the whole run: making keys is slow."""
    return LabTls(tmp_path_factory.mktemp("tls"))
