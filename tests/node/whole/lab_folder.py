"""What a test's node is started from: certificates, a seeded database, a configuration file."""

import json
import shutil
import socket
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from scripts.lab.aaa_running import HOST
from scripts.lab.device_http import tls_context
from scripts.lab.installation import Installation
from scripts.lab.subscribers import LabSubscriber

# Shorter than a lab's, so that a test sees a loss, a new connection and the end of a session soon.
QUICK: Final[Mapping[str, Any]] = {
    "diameter": {
        "connect-seconds": 1.0,
        "answer-seconds": 0.4,
        "exchange-seconds": 1.0,
        "first-reconnect-seconds": 0.05,
        "reconnect-seconds": 0.1,
        "disconnect-seconds": 0.5,
    },
    "sessions": {"answer-seconds": 1.5},
    "store": {"answer-seconds": 1.0, "statement-seconds": 0.5},
    # The phones of a test run in the node's own loop, which is busy with them.
    "overload": {"delay-seconds": 1.0},
    "logging": {"level": "warning"},
}

Changes = Mapping[str, Any]


def subscriber(number: int) -> LabSubscriber:
    """The `number`-th seeded subscriber of the operator (1 to 100)."""
    return LabSubscriber(f"00101{number:010d}", imei=f"35600000{number:06d}0")


def mvno_subscriber(number: int) -> LabSubscriber:
    """The `number`-th seeded subscriber of the virtual operator (1 to 20)."""
    return LabSubscriber(f"0010190{number:08d}", imei=f"35600001{number:06d}0", tenant="mvno")


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class LabFolder:
    """Certificates and a database that every test begins with."""

    def __init__(self, folder: Path) -> None:
        """Make both; half a second, once for all tests."""
        self.folder = folder
        self.installation = Installation.prepare(folder, 0, 1, 0)
        self.contexts = {
            http2: tls_context(str(self.installation.ca), http2=http2) for http2 in (True, False)
        }

    @property
    def ca(self) -> Path:
        """What phones trust."""
        return self.installation.ca

    def prepare(
        self,
        folder: Path,
        aaas: Sequence[tuple[str, int]] = ((HOST, 1),),
        changes: Changes | None = None,
    ) -> Path:
        """Copy the lab into `folder`, for these AAAs (Origin-Host, port); gives the configuration.

        Args:
            changes: settings as in the TOML file, put over the lab's. Lists of tables are changed
                item by item; a tenant's by its place.
        """
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        path = Installation.prepare(folder, 0, 1, 0).config
        settings = tomllib.loads(path.read_text())
        settings["diameter"]["peers"] = [
            {"host": host, "address": "127.0.0.1", "port": port} for host, port in aaas
        ]
        settings = changed_settings(changed_settings(settings, QUICK), changes or {})
        path.write_text(toml(settings))
        return path


def changed_settings(value: Any, change: Any) -> Any:  # noqa: ANN401 (any TOML value)
    """Settings with changes put over them; in a list, `{place: change}` changes single items."""
    if isinstance(value, dict) and isinstance(change, Mapping):
        both = {
            key: changed_settings(value[key], change[key]) for key in value.keys() & change.keys()
        }
        return {**value, **change, **both}
    if isinstance(value, list) and isinstance(change, Mapping):  # place: change
        return [
            changed_settings(one, change[at]) if at in change else one
            for at, one in enumerate(value)
        ]
    return change


def toml(settings: Mapping[str, Any]) -> str:
    """A TOML file of inline values, one line for each table of the top."""
    return "".join(f"{key} = {_inline(value)}\n" for key, value in settings.items())


def _inline(value: Any) -> str:  # noqa: ANN401 (any TOML value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f'"{key}" = {_inline(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_inline, value)) + "]"
    return json.dumps(value)
