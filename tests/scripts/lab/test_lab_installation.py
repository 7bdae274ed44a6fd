"""The lab's folder: made once, with an SM-DP+ or without, and used again."""

from contextlib import closing
from pathlib import Path

from actors.backends.smdp_plus_servers import SmdpPlusServers
from actors.store.database import open_database
from config.load import load
from node.partner.partners import Partners
from scripts.lab.installation import FIRST_LINE, PROFILES, Installation, SmdpPorts
from scripts.lab.smdp_plus_profiles import TYPES, Inventory, stock


async def nobody(_notification: object) -> None:
    raise AssertionError("nobody reports")


async def test_a_lab_with_an_smdp_plus_can_be_served_and_knows_its_profiles(tmp_path: Path) -> None:
    lab = Installation.prepare(tmp_path, 1, 2, 3, SmdpPorts(4, 5, 6))
    config = load(lab.config)
    assert config.partner.listen == "127.0.0.1:6"
    (mno, mvno) = config.tenants
    assert [one.url for one in mno.smdp_plus] == ["https://localhost:4"]
    assert mvno.smdp_plus == ()
    assert SmdpPlusServers(config.tenants).find("mno", "dp1") is not None
    assert Partners(config, nobody).enabled  # type: ignore[arg-type]
    with closing(open_database(tmp_path / "node.db")) as database:
        rows = database.execute("SELECT iccid, profile_type, imsi FROM profiles").fetchall()
    inventory = Inventory(stock(PROFILES, TYPES))
    assert {iccid: kind for iccid, kind, _ in rows} == {
        iccid: one.profile_type for iccid, one in inventory.profiles.items()
    }
    assert min(imsi for _, _, imsi in rows) == f"{FIRST_LINE:015}"
    assert len({imsi for _, _, imsi in rows}) == len(rows) == 2 * PROFILES


async def test_orders_of_before_stay_when_the_lab_starts_again(tmp_path: Path) -> None:
    Installation.prepare(tmp_path, 1, 2, 3, SmdpPorts())
    keys = (tmp_path / "smdp-plus" / "dp1.key").read_bytes()
    with closing(open_database(tmp_path / "node.db")) as database:
        database.execute("UPDATE profiles SET state = 'installed' WHERE profile_type = 'WATCH'")
    Installation.prepare(tmp_path, 1, 2, 3, SmdpPorts())
    with closing(open_database(tmp_path / "node.db")) as database:
        states = database.execute("SELECT state, count(*) FROM profiles GROUP BY state").fetchall()
    assert dict(states) == {"available": PROFILES, "installed": PROFILES}
    assert (tmp_path / "smdp-plus" / "dp1.key").read_bytes() == keys


def test_a_lab_without_an_smdp_plus_has_none(tmp_path: Path) -> None:
    config = load(Installation.prepare(tmp_path, 1, 2, 3).config)
    assert not any(tenant.smdp_plus for tenant in config.tenants)
    assert not config.partner.listen
