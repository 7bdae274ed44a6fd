"""XML and JSON of one tree, read by clients as strict as the real ones."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.ts43.document import (
    SLOT,
    Application,
    Characteristic,
    Document,
    DocumentError,
    plain_text,
    plain_url,
)
from protocols.ts43.json_document import render_json
from protocols.ts43.xml_document import render_xml
from tests.protocols.ts43.document_readers import (
    LISTS,
    REPEATED,
    ReaderError,
    read_json,
    read_like_android,
    read_like_samsung,
    read_xml,
)

ROW = "RATVoiceEntitleInfoDetails"
VOICE = Application(
    "ap2003",
    (("RegisterNotifStatus", "0"),),
    (
        Characteristic(
            "VoiceOverCellularEntitleInfo",
            children=(
                Characteristic(ROW, (("AccessType", "1"), ("EntitlementStatus", "1"))),
                Characteristic(ROW, (("AccessType", "2"), ("EntitlementStatus", "2"))),
            ),
            form="list",
        ),
    ),
)
VOWIFI = Application(
    "ap2004",
    (
        ("EntitlementStatus", "0"),
        ("ServiceFlow_URL", "https://es.mno.example/ws?a=1&b=2"),
        ("MessageForIncompatible", "Indisponible à l'étranger, œuvre"),
    ),
    shared=False,
)
SATELLITE = Application(
    "ap2016",
    (("EntitlementStatus", "1"),),
    (
        Characteristic("PLMNAllowed", (("PLMN", "31026"),), form="repeated"),
        Characteristic("PLMNAllowed", (("PLMN", "302820"),), form="repeated"),
        Characteristic("PLMNBarred", (("PLMN", "45060"),), form="repeated"),
    ),
)
BOOST = Application(
    "ap2010",
    children=(
        Characteristic(
            "DataBoostInfo",
            children=(
                Characteristic(
                    "DataBoostInfoDetails",
                    (("BoostType", "166"),),
                    (Characteristic("TargetCharacteristicsInfo", (("PDB", "20"), ("PER", "3"))),),
                ),
            ),
            form="list",
        ),
    ),
)
WHOLE = Document(1, 172_800, (VOWIFI, VOICE, SATELLITE, BOOST), "Zk3_x-9", 3600)


def test_the_document_of_the_specification_is_written_as_its_sample() -> None:
    """TS.43 v12 tables 10 and 11, with one tag a line."""
    sms = Application("ap2005", (("EntitlementStatus", "1"),))
    document = Document(1, 172_800, (sms,), "Zk3_x-9", 3600)
    assert render_xml(document).decode() == (
        '<?xml version="1.0"?>\n'
        '<wap-provisioningdoc version="1.1">\n'
        '<characteristic type="VERS">\n'
        '<parm name="version" value="1"/>\n'
        '<parm name="validity" value="172800"/>\n'
        "</characteristic>\n"
        '<characteristic type="TOKEN">\n'
        '<parm name="token" value="Zk3_x-9"/>\n'
        '<parm name="validity" value="3600"/>\n'
        "</characteristic>\n"
        '<characteristic type="APPLICATION">\n'
        '<parm name="AppID" value="ap2005"/>\n'
        '<parm name="EntitlementStatus" value="1"/>\n'
        "</characteristic>\n"
        "</wap-provisioningdoc>\n"
    )
    assert json.loads(render_json(document)) == {
        "Vers": {"version": "1", "validity": "172800"},
        "Token": {"token": "Zk3_x-9", "validity": "3600"},
        "ap2005": {"EntitlementStatus": "1"},
    }


def test_four_readers_understand_the_same() -> None:
    """T-02, T-04, T-12a, T-12b, Q-DOC-5, Q-DOC-7."""
    expected = {
        "VERS": {"version": "1", "validity": "172800"},
        "TOKEN": {"token": "Zk3_x-9", "validity": "3600"},
        "ap2004": dict(VOWIFI.parms),
        "ap2003": {
            "RegisterNotifStatus": "0",
            "VoiceOverCellularEntitleInfo": [
                {ROW: {"AccessType": "1", "EntitlementStatus": "1"}},
                {ROW: {"AccessType": "2", "EntitlementStatus": "2"}},
            ],
        },
        "ap2016": {
            "EntitlementStatus": "1",
            "PLMNAllowed": [{"PLMN": "31026"}, {"PLMN": "302820"}],
            "PLMNBarred": [{"PLMN": "45060"}],
        },
        "ap2010": {
            "DataBoostInfo": [
                {
                    "DataBoostInfoDetails": {
                        "BoostType": "166",
                        "TargetCharacteristicsInfo": {"PDB": "20", "PER": "3"},
                    }
                }
            ]
        },
    }
    xml, by_json = render_xml(WHOLE), render_json(WHOLE)
    assert read_xml(xml) == expected
    assert read_like_android(xml) == expected
    assert read_like_samsung(xml) == expected
    assert read_json(by_json) == expected
    assert list(json.loads(by_json)) == ["Vers", "Token", "ap2004", "ap2003", "ap2016", "ap2010"]


def test_the_second_time_it_is_the_same_from_the_cache() -> None:
    assert render_xml(WHOLE) == render_xml(WHOLE)
    assert render_json(WHOLE) == render_json(WHOLE)
    other = WHOLE._replace(applications=(VOICE._replace(parms=(("RegisterNotifStatus", "2"),)),))
    assert read_xml(render_xml(other))["ap2003"]["RegisterNotifStatus"] == "2"
    assert read_json(render_json(other))["ap2003"]["RegisterNotifStatus"] == "2"


def with_slots(*fillings: str) -> Document:
    """Two applications of one request, one of them with a slot that is kept rendered."""
    parms = (("ServiceFlow_URL", "https://x"), ("ServiceFlow_UserData", SLOT), ("ProvStatus", "0"))
    applications = (VOICE, Application("ap2004", parms), Application("ap2010", parms))
    return Document(1, 60, applications, fillings=fillings)


def test_each_slot_gets_its_filling_in_both_forms() -> None:
    for first, second in (("st=1", "st=2"), ("st=3", "encodedValue=eyJzdCI6IjIifQ==")):
        document = with_slots(first, second)
        found = read_xml(render_xml(document))
        assert found["ap2004"]["ServiceFlow_UserData"] == first
        assert found["ap2010"]["ServiceFlow_UserData"] == second
        assert found["ap2010"]["ProvStatus"] == "0"
        for other in (
            read_like_android(render_xml(document)),
            read_like_samsung(render_xml(document)),
            read_json(render_json(document)),
        ):
            assert other == found


@pytest.mark.parametrize(
    "fillings", [(), ("st=1",), ("st=1", "st=2", "st=3"), ("st=1", "a&b"), ("st=1", 'a"')]
)
def test_a_slot_without_its_filling_is_never_sent(fillings: tuple[str, ...]) -> None:
    for render in (render_xml, render_json):
        with pytest.raises(DocumentError):
            render(with_slots(*fillings))


def test_without_a_token_there_is_no_token() -> None:
    for version in (0, -1, -2):
        document = Document(version, version)
        text = str(version)
        expected = {"VERS": {"version": text, "validity": text}}
        assert read_like_samsung(render_xml(document)) == expected
        assert read_json(render_json(document)) == expected
    unlimited = Document(1, 60, token="t")
    assert read_xml(render_xml(unlimited))["TOKEN"] == {"token": "t"}
    assert read_json(render_json(unlimited))["TOKEN"] == {"token": "t"}


def test_every_line_is_one_tag_and_amp_is_the_only_entity() -> None:
    """T-12a, T-12b."""
    body = render_xml(WHOLE).decode()
    for line in body.splitlines():
        assert line.count("<") == line.count(">") == 1
        assert line.startswith("<")
    assert body.count("&") == body.count("&amp;") == 1
    assert "<!--" not in body


@pytest.mark.parametrize("value", ["a<b", 'a"b', "a\nb", "a\tb", "a\x00b", "a\u2028b"])
def test_what_no_phone_can_read_is_refused_rather_than_sent(value: str) -> None:
    """Q-DOC-3."""
    for shared in (True, False):
        application = Application("ap2004", (("MessageForIncompatible", value),), shared=shared)
        with pytest.raises(DocumentError, match="MessageForIncompatible"):
            render_xml(Document(1, 1, (application,)))
    readable = Application("ap2004", (("MessageForIncompatible", plain_text(value)),))
    document = Document(1, 1, (readable,))
    expected = {"MessageForIncompatible": plain_text(value)}
    assert read_like_samsung(render_xml(document))["ap2004"] == expected
    assert read_like_android(render_xml(document))["ap2004"] == expected
    assert read_json(render_json(document))["ap2004"] == expected


TWINS = (Characteristic("A", (("x", "1"),)), Characteristic("A", (("x", "2"),)))
UNREADABLE = [
    Application("ap2004", (("a", "1"), ("a", "2"))),
    Application("ap2004", children=TWINS),
    Application("ap2004", (("eap-relay-packet", "x"),)),
    Application("ap2004", children=(Characteristic("eap-relay-packet", (("x", "1"),)),)),
    Application("ap2004", children=(Characteristic("L", (("x", "1"),), form="list"),)),
    Application("ap2004", children=(TWINS[0], TWINS[1]._replace(form="repeated"))),
]


@pytest.mark.parametrize("application", UNREADABLE)
def test_a_tree_that_is_no_json_object_is_refused(application: Application) -> None:
    """TS.43 table 65 repeats a key; Q-EAP-11."""
    with pytest.raises(DocumentError):
        render_json(Document(1, 1, (application,)))


def test_texts_and_urls_are_made_plain() -> None:
    assert plain_text("déjà vu & co") == "déjà vu & co"
    assert plain_text('a "b" <c>\r\nd\u00a0e') == "a \u201db\u201d \u2039c\u203a  d e"
    url = "https://es.mno.example:9014/a-b_c.d~e?x=1&y=%20#z"
    assert plain_url(url) == url
    assert plain_url('https://x/"<> é') == "https://x/%22%3C%3E%20%C3%A9"


@given(st.text())
def test_any_text_can_be_made_plain_and_sent(text: str) -> None:
    for value in (plain_text(text), plain_url(text.encode("utf-8", "replace").decode())):
        if not value:
            continue
        document = Document(1, 1, (Application("ap2004", (("X", value),), shared=False),))
        assert read_like_samsung(render_xml(document))["ap2004"] == {"X": value}
        assert read_json(render_json(document))["ap2004"] == {"X": value}


NAMES = st.sampled_from(["PDB", "PER", "Title", "DataPlanType", "NetworkVoiceIRATCapability"])
VALUES = st.text(min_size=1, max_size=12).map(plain_text)
PARMS = st.dictionaries(NAMES, VALUES, max_size=4).map(lambda found: tuple(found.items()))


def _unique(children: list[Characteristic]) -> tuple[Characteristic, ...]:
    return tuple({child.type: child for child in children}.values())


def _characteristics(inner: st.SearchStrategy[Characteristic]) -> st.SearchStrategy[Characteristic]:
    children = st.lists(inner, max_size=3)
    return st.one_of(
        st.builds(
            Characteristic,
            st.sampled_from(["DownloadInfo", "MSG", "TargetCharacteristicsInfo"]),
            PARMS,
            children.map(_unique),
            st.just("object"),
        ),
        st.builds(
            Characteristic,
            st.sampled_from(sorted(LISTS)),
            st.just(()),
            children.map(tuple),
            st.just("list"),
        ),
    )


TREES = st.recursive(
    st.builds(
        Characteristic,
        st.sampled_from(["DownloadInfo", "MSG"]),
        PARMS,
        st.just(()),
        st.just("object"),
    ),
    _characteristics,
    max_leaves=8,
)


@pytest.mark.slow
@given(
    st.lists(
        st.builds(
            Application,
            st.sampled_from(["ap2003", "ap2004", "ap2010"]),
            PARMS,
            st.lists(TREES, max_size=3).map(_unique),
            st.booleans(),
        ),
        max_size=3,
        unique_by=lambda application: application.app_id,
    )
)
def test_any_tree_reads_the_same_in_both_forms(applications: list[Application]) -> None:
    """T-02, T-04."""
    document = Document(1, 60, tuple(applications), "tok", 5)
    xml = render_xml(document)
    assert read_xml(xml) == read_like_samsung(xml) == read_json(render_json(document))


def test_the_readers_are_as_strict_as_the_clients() -> None:
    """Otherwise they would prove nothing."""
    good = render_xml(WHOLE).decode()
    spoiled = [
        good.replace('<parm name="version" value="1"/>', '<parm value="1" name="version"/>'),
        good.replace('<parm name="version"', '<parm x="1" name="version"'),
        good.replace('type="VERS"', 'type="VERS" x="1"'),
        good.replace('<parm name="version" value', '<parm name="version"\nvalue'),
        good.replace('value="Zk3_x-9"', 'value=""'),
        good.replace("</wap-provisioningdoc>\n", ""),
        good.replace('<characteristic type="VERS">', '<!-- x --><characteristic type="VERS">'),
    ]
    for text in spoiled:
        assert text != good
        with pytest.raises(ReaderError):
            read_like_samsung(text.encode())
    with pytest.raises(ReaderError):
        read_json(b'{"Vers":{"version":1}}')
    with pytest.raises(ReaderError):
        read_json(b'{"a":{},"a":{}}')
    assert set(REPEATED).isdisjoint(LISTS)
