"""What a worker of the tests is told first."""

from pathlib import Path

from config.load import load
from node.workers.control import Start

LAB = Path(__file__).parents[3] / "config" / "lab.toml"


def start_of(number: int = 1, workers: int = 2) -> Start:
    """A worker of the lab; it is not run."""
    return Start(load(LAB), number, workers, 0xABCDEF, "/nowhere", [])
