"""The node of `tests/node/whole`, for tests whose other end is not ours."""

from tests.node.whole.conftest import Whole, lab, whole

__all__ = ["Whole", "lab", "whole"]
