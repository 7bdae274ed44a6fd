"""One installation of the lab in a folder: certificates, configuration, subscribers.

Made when missing and used again afterwards, so that tokens and subscribers outlive a restart.
"""

import datetime
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from actors.store.database import open_database
from actors.store.lab import seed_lab
from config.load import load
from node.device.certificates import make_lab_certificates
from scripts import compiled

TEMPLATE: Final = Path(__file__).parent.parent.parent / "config" / "lab.toml"


@dataclass(frozen=True, slots=True)
class Installation:
    """Where everything of the lab is."""

    data: Path
    port: int
    aaa_port: int
    management_port: int

    @classmethod
    def prepare(cls, data: Path, port: int, aaa_port: int, management_port: int) -> Self:
        """Make what is missing in `data`, and the configuration for these ports."""
        lab = cls(data.absolute(), port, aaa_port, management_port)
        tls = lab.data / "tls"
        hosts = sorted(
            {host for tenant in load(TEMPLATE, here=False).tenants for host in tenant.hosts}
        )
        if not lab.ca.exists():
            make_lab_certificates(tls, hosts, datetime.datetime.now(datetime.UTC))
        lab.config.write_text(lab._configuration())
        lab._provision()
        return lab

    @property
    def config(self) -> Path:
        """The node's configuration file."""
        return self.data / "lab.toml"

    @property
    def ca(self) -> Path:
        """The certificate that clients must trust."""
        return self.data / "tls" / "ca.pem"

    @property
    def device_url(self) -> str:
        """Where devices ask."""
        return f"https://localhost:{self.port}"

    @property
    def management_url(self) -> str:
        """Where operators ask."""
        return f"http://127.0.0.1:{self.management_port}"

    @property
    def node_command(self) -> list[str]:
        """Starts the node, with its compiled modules when there are any (`scripts/compile`)."""
        settings = [f"{name}={value}" for name, value in compiled.environment().items()]
        prefix = ["env", *settings] if settings else []
        return [*prefix, sys.executable, "-m", "node", "serve", "--config", str(self.config)]

    @property
    def aaa_command(self) -> list[str]:
        """Starts the AAA server."""
        return [sys.executable, "-m", "scripts.lab.aaa", "--listen", f"127.0.0.1:{self.aaa_port}"]

    def how_to_reach(self) -> str:
        """What a person can do with the running lab."""
        lines = (
            ("health, metrics", f"curl {self.management_url}/ready {self.management_url}/metrics"),
            ("watch one line", f"python -m node trace --imsi 001010000000001 {self._management}"),
            (
                "why this answer",
                f"python -m node explain --imsi 001010000000001 --app ap2004 {self._management}",
            ),
            (
                "load",
                "python -m scripts.traffic run volte_vowifi_activation "
                f"--target {self.device_url} --cacert {self.ca}",
            ),
            ("AAA server", f"127.0.0.1:{self.aaa_port}, SWm, epc.mnc001.mcc001.3gppnetwork.org"),
        )
        return (
            f"\nThe node serves devices at {self.device_url} (PLMN 001/01); trust {self.ca}\n"
            + "".join(f"  {what:16} {how}\n" for what, how in lines)
            + "Ctrl-C ends it."
        )

    @property
    def _management(self) -> str:
        return f"--management {self.management_url}"

    def _configuration(self) -> str:
        """config/lab.toml with this installation's ports, folder and certificate."""
        text = TEMPLATE.read_text()
        tls = self.data / "tls"
        for old, new in (
            ('data = "var"', f'data = "{self.data}"'),
            (
                'listen = ["127.0.0.1:8443"]',
                f'listen = ["127.0.0.1:{self.port}"]\n'
                f'certificates = [{{ chain = "{tls}/device.pem", key = "{tls}/device.key" }}]',
            ),
            ('listen = "127.0.0.1:8081"', f'listen = "127.0.0.1:{self.management_port}"'),
            ("port = 3868", f"port = {self.aaa_port}"),
            ("localhost:8443", f"localhost:{self.port}"),
        ):
            if old not in text:
                raise ValueError(f"{TEMPLATE.name} lacks {old!r}")
            text = text.replace(old, new)
        return text

    def _provision(self) -> None:
        """Plans and subscribers of the lab, when the database is new."""
        config = load(self.config)
        path = Path(config.node.data) / config.store.path
        if path.exists():
            return
        connection = open_database(path)
        try:
            seed_lab(connection, config, int(time.time()))
        finally:
            connection.close()
