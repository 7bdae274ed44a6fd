"""The data commands: what they print, what they change, their exit status."""

from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from actors.store.records import NewToken
from actors.store.sql import transaction
from actors.store.writes import save_token
from node.cli_data import check_config, plans, subscribers, tenants, tokens
from node.cli_migrate import database_commands
from tests.actors.store.kit import Kit, PostgresKit, SqliteKit
from tests.actors.store.postgres_server import PostgresServer

CONFIG = Path(__file__).parents[2] / "config"
IMSI = "001010000000001"
FAR = 4_000_000_000


@click.group()
def main() -> None:
    """Stands for the whole command line."""


for command in (check_config, plans, subscribers, tenants, tokens, database_commands):
    main.add_command(command)


class Lab:
    """A configuration and its database in a folder."""

    def __init__(self, folder: Path, kit: Kit | None = None) -> None:
        self.folder = folder
        self.config = folder / "node.toml"
        text = (CONFIG / "lab.toml").read_text().replace('data = "var"', f'data = "{folder}"')
        if isinstance(kit, PostgresKit):
            (folder / "conninfo").write_text(kit.settings.postgres + "\n")
            text = text.replace("[node]", '[store]\npostgres = "file:conninfo"\n\n[node]')
        self.config.write_text(text)
        self.database = folder / "node.db"
        self.kit = kit or SqliteKit(self.database)

    def run(self, *words: str, status: int = 0, configured: bool = True) -> Result:
        environment = {"ENTITLEMENT_CONFIG": str(self.config)} if configured else {}
        result = CliRunner().invoke(main, words, env=environment)
        assert result.exit_code == status, result.output
        return result

    def file(self, name: str, text: str) -> str:
        (self.folder / name).write_text(text)
        return str(self.folder / name)

    def query(self, sql: str) -> list[Any]:
        return self.kit.execute(sql)


@pytest.fixture
def lab(tmp_path: Path, kit: Kit) -> Lab:
    lab = Lab(tmp_path, kit)
    lab.run("plans", "import", str(CONFIG / "lab_plans.toml"))
    return lab


@pytest.fixture
def one(lab: Lab) -> Lab:
    """A lab with one subscriber, who has a phone and a token."""
    text = f"imsi,msisdn,iccid,plan\n{IMSI},+491700000001,8949000000000000001,gold\n"
    lab.run("subscribers", "import", "-t", "mno", lab.file("s.csv", text))
    connection = lab.kit.operator()
    connection.act_for("mno")
    token = NewToken(
        tenant="mno",
        token_hash=b"h" * 32,
        imsi=IMSI,
        terminal_id="990000862471854",
        apps=("ap2003",),
        app_name="ims",
        issued=FAR - 10,
        expires=FAR,
        grace_seconds=1,
        diameter_session_id=b"ecs1;1;2;w1-1",
        terminal_vendor="vend",
    )
    with transaction(connection):
        assert save_token(connection, token) is None
    connection.close()
    return lab


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["check-config"],
        ["plans"],
        ["plans", "import"],
        ["plans", "show"],
        ["subscribers"],
        ["subscribers", "import"],
        ["subscribers", "export"],
        ["subscribers", "show"],
        ["subscribers", "set"],
        ["database"],
        ["database", "migrate"],
        ["tenants"],
        ["tenants", "show"],
        ["tokens"],
        ["tokens", "revoke"],
    ],
)
def test_every_command_explains_itself(tmp_path: Path, words: list[str]) -> None:
    output = Lab(tmp_path).run(*words, "--help", configured=False).output
    assert "Usage:" in output
    assert "\b" not in output


def test_the_help_of_an_import_describes_its_file(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert "vowifi_addr_expiry      of" in lab.run("subscribers", "import", "--help").output
    assert "\n    services = [" in lab.run("plans", "import", "--help").output


def test_a_good_configuration_is_told(lab: Lab) -> None:
    result = lab.run("check-config", str(lab.config))
    assert "good; tenants mno, mvno; 1 Diameter peer\n" in result.stdout


def test_every_mistake_of_a_configuration_is_told(lab: Lab) -> None:
    text = lab.config.read_text().replace('"00101"', '"1"').replace("8443", "x", 1)
    result = lab.run("check-config", lab.file("bad.toml", text), status=1)
    assert "3 problems" in result.stderr
    assert "tenants[0].plmns[0]: a PLMN is five or six digits" in result.stderr
    assert "tenants[1].plmns[0]: a PLMN is five or six digits" in result.stderr
    assert "device.listen[0]: an address is" in result.stderr


def test_a_configuration_without_peers_is_warned_of(lab: Lab) -> None:
    text = "[diameter]\norigin-host = 'a'\norigin-realm = 'b'\n[[tenants]]\nid = 'one'\n"
    text += "messages = { typo = { en = 'x' } }\n[node]\ncookie-keys = ['file:/not/here']\n"
    file = lab.file("small.toml", text)
    assert "cannot read /not/here" in lab.run("check-config", file, status=1).stderr
    result = lab.run("check-config", file, "--elsewhere")
    assert "no phone can authenticate" in result.stderr
    assert "no text has the id typo of tenant one; there are volte-not-offered" in result.stderr


def test_a_command_with_a_bad_configuration_says_why(lab: Lab) -> None:
    file = lab.file("bad.toml", "[diameter]\n")
    result = lab.run("tenants", "show", "-c", file, status=2)
    assert "diameter.origin-host: is missing" in result.stderr
    assert "tenants: is missing" in result.stderr


def test_subscribers_are_imported_and_imported_again(lab: Lab) -> None:
    text = f"imsi,plan\n{IMSI},gold\n001010000000002,basic\n"
    words = ("subscribers", "import", "-t", "mno", lab.file("s.csv", text))
    assert "2 rows: 2 added, 0 changed, 0 unchanged" in lab.run(*words).stdout
    assert "2 rows: 0 added, 0 changed, 2 unchanged" in lab.run(*words).stdout


def test_bad_rows_are_told_and_make_the_status_one(lab: Lab) -> None:
    file = lab.file("s.csv", f"imsi,plan\n1,gold\n2,gold\n{IMSI},gold\n")
    words = ("subscribers", "import", "-t", "mno", "--show-bad", "1", file)
    result = lab.run(*words, status=1)
    assert f"{file}:2: imsi: an IMSI is 6 to 15 digits\n… and 1 more bad rows" in result.stderr
    assert "1 added" in result.stdout
    assert "2 bad rows left out" in result.stdout
    file = lab.file("t.csv", "imsi,plan\n1,gold\n001010000000002,gold\n")
    result = lab.run("subscribers", "import", "-t", "mno", "--all-or-nothing", file, status=1)
    assert "1 bad rows: nothing was changed" in result.stderr
    assert lab.query("SELECT imsi FROM subscribers") == [(IMSI,)]


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        (["-t", "mno", "{none}"], 2, "does not exist"),
        (["{file}"], 2, "--tenant is needed; there are mno, mvno"),
        (["-t", "nobody", "{file}"], 2, "there is no tenant nobody"),
        (["-t", "mno", "{file}"], 1, "no column 'colour'"),
    ],
)
def test_an_import_that_cannot_start_says_why(
    lab: Lab, words: list[str], status: int, reason: str
) -> None:
    file = lab.file("s.csv", "imsi,plan,colour\n")
    words = [word.format(file=file, none=lab.folder / "none") for word in words]
    assert reason in lab.run("subscribers", "import", *words, status=status).stderr


def test_subscribers_without_plans_are_refused(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    result = lab.run(
        "subscribers", "import", "-t", "mno", lab.file("s.csv", "imsi,plan\n"), status=1
    )
    assert "`plans import` comes first" in result.stderr
    assert f"made {lab.database}" in result.stderr


def test_an_export_is_masked_unless_told_otherwise_and_can_be_imported(one: Lab) -> None:
    masked = one.run("subscribers", "export", "-t", "mno").stdout
    assert IMSI not in masked
    assert "00101…01,49170…01,89490…01,gold,active,," in masked
    out = str(one.folder / "out.csv")
    assert one.run("subscribers", "export", "-t", "mno", "--clear", "-o", out).stdout == ""
    assert (
        "1 rows: 0 added, 0 changed, 1 unchanged"
        in one.run("subscribers", "import", "-t", "mno", out).stdout
    )


def test_an_export_reads_in_pieces(lab: Lab) -> None:
    lines = "".join(f"00101{n:010},gold\n" for n in range(10_001))
    lab.run("subscribers", "import", "-t", "mno", lab.file("s.csv", "imsi,plan\n" + lines))
    out = lab.run("subscribers", "export", "-t", "mno", "--clear").stdout.splitlines()
    assert len(out) == 10_002
    assert len(set(out)) == 10_002


def test_a_subscriber_is_shown_masked_or_whole(one: Lab) -> None:
    masked = one.run("subscribers", "show", "-t", "mno", "+491700000001").stdout
    assert "plan           gold" in masked
    assert "00101…01" in masked
    assert "token          99000…54 ap2003 ims, valid until 2096-10-02" in masked
    for secret in (IMSI, "491700000001", "990000862471854"):
        assert secret not in masked
    whole = one.run("subscribers", "show", "-t", "mno", "--clear", IMSI).stdout
    for secret in (IMSI, "491700000001", "990000862471854 vend, last seen"):
        assert secret in whole


@pytest.mark.parametrize("identity", ["001010000000009", "+1", "x"])
def test_a_stranger_is_told(one: Lab, identity: str) -> None:
    result = one.run("subscribers", "show", "-t", "mno", identity, status=1)
    assert "mno has no such subscriber" in result.stderr
    assert "no such" in one.run("subscribers", "show", "-t", "mvno", IMSI, status=1).stderr


def test_a_subscriber_is_changed(one: Lab) -> None:
    words = ("subscribers", "set", "-t", "mno", IMSI)
    one.run(*words, "--plan", "basic", "--status", "suspended", "--override", "volte=blocked")
    one.run(*words, "--override", "vowifi=allowed", "--vowifi-addr-status", "1")
    assert one.query(
        "SELECT plan_id, status, overrides, vowifi_addr_status, msisdn FROM subscribers"
    ) == [("basic", "suspended", "volte=blocked;vowifi=allowed", 1, "491700000001")]
    assert one.run(*words, "--override", "volte=", "--msisdn", "").stdout == "changed\n"
    assert one.run(*words, "--override", "volte=").stdout == "unchanged\n"
    assert one.query("SELECT overrides, msisdn FROM subscribers") == [("vowifi=allowed", "")]


def test_another_card_voids_the_tokens(one: Lab) -> None:
    one.run("subscribers", "set", "-t", "mno", IMSI, "--iccid", "8949000000000000002")
    shown = one.run("subscribers", "show", "-t", "mno", IMSI).stdout
    assert "token " not in shown
    assert "iccid of imsi: 89490…01 -> 89490…02" in shown


@pytest.mark.parametrize(
    ("words", "status", "reason"),
    [
        ([IMSI, "--plan", "none"], 2, "plan: the tenant has no plan 'none'"),
        ([IMSI, "--status", "dead"], 2, "status: must be one of active"),
        ([IMSI, "--override", "fax=blocked"], 2, "--override: no service is called 'fax'"),
        ([IMSI, "--override", "volte=maybe"], 2, "volte may be allowed"),
        (["001010000000002", "--plan", "gold"], 1, "no such subscriber (--add makes it)"),
        (["001010000000002", "--add"], 2, "a new subscriber needs --plan"),
        (["262020000000001", "--add", "--plan", "gold"], 2, "outside the PLMNs"),
    ],
)
def test_a_wrong_change_is_refused(one: Lab, words: list[str], status: int, reason: str) -> None:
    before = one.query("SELECT * FROM subscribers")
    assert reason in one.run("subscribers", "set", "-t", "mno", *words, status=status).stderr
    assert one.query("SELECT * FROM subscribers") == before


def test_a_subscriber_can_be_added_and_its_tokens_revoked(one: Lab) -> None:
    words = ("subscribers", "set", "-t", "mno")
    added = one.run(*words, "001010000000002", "--add", "--plan", "basic")
    assert added.stdout == "added\n"
    assert "1 tokens revoked" in one.run(*words, IMSI, "--revoke-tokens").stdout


def test_tokens_are_revoked_by_subscriber_or_session(one: Lab) -> None:
    words = ("tokens", "revoke", "-t", "mno")
    assert "0 tokens" in one.run(*words, "--imsi", "001010000000002").stdout
    assert "1 tokens" in one.run(*words, "--session-id", "ecs1;1;2;w1-1").stdout
    assert "0 tokens" in one.run(*words, "--imsi", IMSI).stdout
    assert one.query("SELECT token_generation FROM subscribers") == [(1,)]
    for more in ([], ["--imsi", IMSI, "--session-id", "x"]):
        assert "one of them" in one.run(*words, *more, status=2).stderr


def test_tenants_are_shown_with_what_they_have(one: Lab) -> None:
    one.query("INSERT INTO plans VALUES ('gone', 'a', 'b', '{}')")
    result = one.run("tenants", "show")
    assert "mno            Lab operator" in result.stdout
    assert "  subscribers  1\n  tokens       1\n" in result.stdout
    assert "  gid1         A1" in result.stdout
    # PostgreSQL shows the rows of tenants that are asked for by name.
    orphans_seen = isinstance(one.kit, SqliteKit)
    assert ("data of gone, which is no tenant" in result.stderr) == orphans_seen


def test_plans_are_shown_and_written_as_csv(lab: Lab) -> None:
    assert "boosts       0=1, 2=4" in lab.run("plans", "show", "-t", "mno").stdout
    csv = lab.run("plans", "show", "-t", "mno", "--csv").stdout
    file = lab.file("p.csv", csv)
    assert "mvno: basic, data" in lab.run("plans", "import", "-t", "mvno", file).stdout
    assert lab.query("SELECT count(*) FROM plans WHERE tenant = 'mvno'") == [(10,)]


def test_plans_with_a_mistake_change_nothing(lab: Lab) -> None:
    file = lab.file("p.toml", "[[plans]]\nid = 'new'\n[[plans]]\nid = ''\n")
    result = lab.run("plans", "import", "-t", "mno", file, status=1)
    assert "nothing was changed:\nplans[1].id: is missing" in result.stderr
    assert lab.query("SELECT * FROM plans WHERE plan_id = 'new'") == []
    (lab.folder / "l.csv").write_bytes(b"\xe9")
    result = lab.run("plans", "import", "-t", "mno", str(lab.folder / "l.csv"), status=1)
    assert "is not UTF-8 text" in result.stderr


def test_a_tenant_without_plans_is_told_what_to_do(tmp_path: Path) -> None:
    assert "`plans import`" in Lab(tmp_path).run("plans", "show", "-t", "mno").stdout


def test_a_database_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.database.write_bytes(b"something else" * 1_000)
    assert "file is not a database" in lab.run("tenants", "show", status=1).stderr


def test_the_only_tenant_need_not_be_named(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    text = "[diameter]\norigin-host='a'\norigin-realm='b'\n[[tenants]]\nid='one'\n"
    text += f"[node]\ndata='{tmp_path}'\n"
    lab.config.write_text(text)
    file = lab.file("p.toml", "[[plans]]\nid = 'a'\n")
    assert "one: a" in lab.run("plans", "import", file).stdout
    assert "a              a" in lab.run("plans", "show").stdout


def test_a_database_is_migrated_once(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    made = lab.run("database", "migrate").stdout
    assert f"{lab.database}: 0001 subscribers and tokens\n" in made
    assert lab.run("database", "migrate").stdout == f"{lab.database}: is up to date\n"


@pytest.mark.interop
def test_postgresql_is_migrated_by_its_owner(tmp_path: Path, server: PostgresServer) -> None:
    server.create_database("fresh")
    try:
        lab = Lab(tmp_path, PostgresKit(server, "fresh"))
        assert (
            "run `entitlement-node database migrate`"
            in lab.run("plans", "show", "-t", "mno", status=1).stderr
        )
        assert "who owns the tables?" in lab.run("database", "migrate", status=1).stderr
        owner = server.conninfo("owner", "fresh")
        made = lab.run("database", "migrate", "--owner", owner).stdout
        assert "PostgreSQL: 0001 subscribers and tokens\n" in made
        assert lab.run("database", "migrate", "--owner", owner).stdout == (
            "PostgreSQL: is up to date\n"
        )
        assert "has no plans yet" in lab.run("plans", "show", "-t", "mno").stdout
    finally:
        server.drop_database("fresh")
