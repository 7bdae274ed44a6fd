"""One installation of the lab in a folder: certificates, configuration, subscribers, profiles.

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
from actors.store.profiles import Profile, put_profiles
from actors.store.sql import OperatorDatabase, transaction
from config.load import load
from node.device.certificates import make_lab_certificates
from scripts import compiled
from scripts.lab.smdp_plus_certificates import certificates as make_smdp_certificates
from scripts.lab.smdp_plus_profiles import TYPES, stock

TEMPLATE: Final = Path(__file__).parent.parent.parent / "config" / "lab.toml"
ESIM: Final = TEMPLATE.with_name("lab_esim.toml")
NO_SMDP: Final = "# No SM-DP+ here: the lab has its own (config/lab_esim.toml).\n"

PROFILES: Final = 5_000  # of each type; an order takes one
TENANT: Final = "mno"
FIRST_LINE: Final = 1_010_000_500_001  # IMSI of the first profile
FIRST_NUMBER: Final = 491_750_000_001  # its MSISDN
INSTALL_SECONDS: Final = 2.0  # from the release until a made-up device has installed it


@dataclass(frozen=True, slots=True)
class SmdpPorts:
    """Of the lab's SM-DP+ and of where it reports.

    Attributes:
        port: ES2+.
        control: commands (`scripts/lab/smdp_plus_control.py`).
        partner: the node's [partner].
    """

    port: int = 8860
    control: int = 8861
    partner: int = 8444


@dataclass(frozen=True, slots=True)
class Installation:
    """Where everything of the lab is."""

    data: Path
    port: int
    aaa_port: int
    management_port: int
    smdp: SmdpPorts | None = None

    @classmethod
    def prepare(
        cls,
        data: Path,
        port: int,
        aaa_port: int,
        management_port: int,
        smdp: SmdpPorts | None = None,
    ) -> Self:
        """Make what is missing in `data`, and the configuration for these ports.

        Args:
            smdp: None: without an SM-DP+.
        """
        lab = cls(data.absolute(), port, aaa_port, management_port, smdp)
        tls = lab.data / "tls"
        hosts = sorted(
            {host for tenant in load(TEMPLATE, here=False).tenants for host in tenant.hosts}
        )
        if not lab.ca.exists():
            make_lab_certificates(tls, hosts, datetime.datetime.now(datetime.UTC))
        if smdp is not None:
            make_smdp_certificates(lab.smdp_folder)
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
    def smdp_folder(self) -> Path:
        """Where the certificates of ES2+ are."""
        return self.data / "smdp-plus"

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

    @property
    def smdp_command(self) -> list[str]:
        """Starts the SM-DP+, whose profiles install themselves soon after they were released."""
        assert self.smdp is not None, "this lab has an SM-DP+"  # noqa: S101
        options = {
            "--listen": f"127.0.0.1:{self.smdp.port}",
            "--control": f"127.0.0.1:{self.smdp.control}",
            "--operator": f"https://localhost:{self.smdp.partner}",
            "--data": str(self.smdp_folder),
            "--profiles": str(PROFILES),
            "--behaviour": f"*=install={INSTALL_SECONDS},function=releaseProfile",
        }
        command = [sys.executable, "-m", "scripts.lab.smdp_plus"]
        return [*command, *(text for option in options.items() for text in option)]

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
            *self._how_to_order(),
        )
        return (
            f"\nThe node serves devices at {self.device_url} (PLMN 001/01); trust {self.ca}\n"
            + "".join(f"  {what:16} {how}\n" for what, how in lines)
            + "Ctrl-C ends it."
        )

    def _how_to_order(self) -> list[tuple[str, str]]:
        if self.smdp is None:
            return []
        where = f"--target {self.device_url} --cacert {self.ca}"
        return [
            ("a watch's eSIM", f"python -m scripts.lab.odsa_device watch {where}"),
            ("load of orders", f"python -m scripts.traffic run watch_companion {where}"),
            (
                "SM-DP+",
                f"https://localhost:{self.smdp.port} (ES2+), certificates in {self.smdp_folder}; "
                f"it reports to https://localhost:{self.smdp.partner}",
            ),
            ("its books", f"echo books | nc -N 127.0.0.1 {self.smdp.control}"),
        ]

    @property
    def _management(self) -> str:
        return f"--management {self.management_url}"

    def _configuration(self) -> str:
        """config/lab.toml with this installation's ports, folder and certificate."""
        text = TEMPLATE.read_text()
        tls = self.data / "tls"
        esim = self._esim() if self.smdp is not None else NO_SMDP
        for old, new in (
            (NO_SMDP, esim),
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

    def _esim(self) -> str:
        """config/lab_esim.toml with this installation's ports."""
        assert self.smdp is not None, "this lab has an SM-DP+"  # noqa: S101
        text = ESIM.read_text()
        text = text.replace("localhost:8860", f"localhost:{self.smdp.port}")
        return text.replace("127.0.0.1:8444", f"127.0.0.1:{self.smdp.partner}")

    def _provision(self) -> None:
        """Plans, subscribers and profiles of the lab, where there are none."""
        config = load(self.config)
        path = Path(config.node.data) / config.store.path
        is_new = not path.exists()
        if not is_new and self.smdp is None:
            return
        connection = open_database(path)
        try:
            now = int(time.time())
            if is_new:
                seed_lab(connection, config, now)
            if self.smdp is not None:
                _import_profiles(connection, now)
        finally:
            connection.close()


def _import_profiles(database: OperatorDatabase, now: int) -> None:
    """The SM-DP+'s inventory as the operator knows it: each profile with the line of its card."""
    (known,) = database.execute(
        "SELECT count(*) FROM profiles WHERE tenant = ?", (TENANT,)
    ).fetchone()
    if known:
        return
    rows = [
        Profile(
            one.iccid,
            "dp1",
            one.profile_type,
            imsi=f"{FIRST_LINE + at:015}",
            msisdn=str(FIRST_NUMBER + at),
            batch="lab",
        )
        for at, one in enumerate(stock(PROFILES, TYPES))
    ]
    with transaction(database):
        put_profiles(database, TENANT, rows, now)
