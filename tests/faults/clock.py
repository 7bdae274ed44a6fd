"""A process whose wall clock jumps (libfaketime); its monotonic clock does not, as in reality."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.interop.programs import needs

LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib")


class JumpingClock:
    """Tells a process how far its wall clock is off.

    Attributes:
        environment: what to start the process with.
    """

    def __init__(self, folder: Path) -> None:
        """Right to begin with; without libfaketime the test is skipped."""
        needs("faketime")
        self._file = folder / "clock"
        self.jump(0)
        self.environment: Mapping[str, str] = {
            **os.environ,
            "LD_PRELOAD": str(_library()),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",  # before libfaketime 0.9.10
        }

    def jump(self, seconds: int) -> None:
        """From now on it is off by so much."""
        fresh = self._file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}\n")
        fresh.replace(self._file)  # never a file that is half written


def _library() -> Path:
    for folder in LIBRARIES:
        for found in sorted(Path(folder).glob("**/faketime/libfaketimeMT.so.1")):
            return found
    raise AssertionError("faketime is installed without its library")
