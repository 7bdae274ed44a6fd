"""A lab SM-DP+ and certificates for the tests of the SM-DP+ backend."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.model import SmdpPlus
from scripts.lab.smdp_plus_certificates import Authority, Credential
from scripts.lab.smdp_plus_profiles import Inventory, inventory
from scripts.lab.smdp_plus_server import SmdpPlusServer

OWNER = "2.999.20"


class Certificates:
    """What both sides show, made once."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "one")
        self.other = Authority(folder / "two", "Another CA")
        self.server = self.authority.issue("dp1.lab", hosts=("dp1.lab", "localhost", "127.0.0.1"))
        self.client = self.authority.issue("operator.lab")
        self.second_client = self.authority.issue("mvno.lab")
        self.trusted = self.authority.ca.read_text()


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("es2"))


@pytest.fixture
def smdp() -> SmdpPlusServer:
    return SmdpPlusServer(Inventory(inventory(20, owner=OWNER)))


Settings = Callable[..., SmdpPlus]


@pytest.fixture
def settings(certificates: Certificates) -> Settings:
    """Makes [[tenants.smdp-plus]] for a URL."""

    def make(url: str, client: Credential | None = None, **others: object) -> SmdpPlus:
        own = client or certificates.client
        values: dict[str, Any] = {
            "name": "dp1",
            "requester": OWNER,
            "ca": str(certificates.authority.ca),
            "certificate": str(own.chain),
            "key": str(own.key),
            "connect_seconds": 2.0,
        }
        return SmdpPlus(url=url, **(values | others))

    return make
