"""The lab that all tests of the whole node share, and a node for each of them."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.node.whole.whole_node import LabFolder, WholeNode, whole_node

Whole = Callable[..., AbstractAsyncContextManager[WholeNode]]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> LabFolder:
    """Certificates and a seeded database, made once."""
    return LabFolder(tmp_path_factory.mktemp("lab"))


@pytest.fixture
def whole(lab: LabFolder, tmp_path: Path) -> Whole:
    """`async with whole(changes) as node`: a node with its AAA in a folder of this test."""
    return partial(whole_node, lab, tmp_path)
