"""EID, ICCID, matching id, activation code: ES2-30 to ES2-32 and SGP.22 §4.1, SGP.29, E.118."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.es2plus.identifiers import ActivationCode, ConfirmationCode, MatchingId
from protocols.es2plus.status_codes import (
    REASONS,
    SUBJECTS,
    Function,
    StatusClass,
    StatusCode,
    android_detailed_code,
    status_class,
)
from protocols.identity import Eid, Iccid

MATCHING_ID = MatchingId("A1B2C-D3E4F")
FORMS = {
    "1$smdp.example.com$A1B2C-D3E4F": ("", False),
    "1$smdp.example.com$A1B2C-D3E4F$2.999.10": ("2.999.10", False),
    "1$smdp.example.com$A1B2C-D3E4F$2.999.10$1": ("2.999.10", True),
    "1$smdp.example.com$A1B2C-D3E4F$$1": ("", True),
}


@pytest.mark.parametrize(("text", "oid", "flag"), [(text, *rest) for text, rest in FORMS.items()])
def test_every_form_of_an_activation_code_is_written_and_read(
    text: str, oid: str, flag: bool
) -> None:
    """ES2-30, ES2-32"""
    code = ActivationCode("smdp.example.com", MATCHING_ID, oid, flag)
    assert code.text == text
    assert code.qr_text == f"LPA:{text}"
    assert ActivationCode.parse(text) == ActivationCode.parse(f"LPA:{text}") == code
    assert ActivationCode.parse(f"lpa:{text}") == code


def test_the_ts43_form_is_standard_base64_with_the_prefix_only_where_asked_for() -> None:
    """ES2-32"""
    code = ActivationCode("smdp.example.com", MATCHING_ID)
    plain = code.profile_activation_code()
    assert plain == "MSRzbWRwLmV4YW1wbGUuY29tJEExQjJDLUQzRTRG"
    assert ActivationCode.from_profile_activation_code(plain) == code
    prefixed = code.profile_activation_code(qr_prefix=True)
    assert prefixed.startswith("TFBBOjEk")
    assert ActivationCode.from_profile_activation_code(prefixed) == code


def test_an_activation_code_may_have_255_symbols_and_not_256() -> None:
    """ES2-31"""
    host = "a" * 60 + ".example.com"
    room = 255 - len(f"1${host}$")
    assert len(ActivationCode(host, MatchingId("M" * room)).text) == 255
    with pytest.raises(ValueError, match="255"):
        ActivationCode(host, MatchingId("M" * (room + 1)))


@pytest.mark.parametrize(
    "host", ["", "smdp example.com", "smdp.example.com:443", "smdp$x", "-a.com", "smdp.exämple"]
)
def test_an_address_that_is_no_host_name_is_refused(host: str) -> None:
    """ES2-31"""
    with pytest.raises(ValueError, match="host name"):
        ActivationCode(host, MATCHING_ID)


@pytest.mark.parametrize(
    "text",
    ["", "1$", "1$host", "2$host$ID", "1$host$id", "1$host$ID$x", "1$host$ID$$2", "1$h$I$1$1$1"],
)
def test_what_is_no_activation_code_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"activation code|matching id|host name"):
        ActivationCode.parse(text)


@pytest.mark.parametrize("encoded", ["MSRz\nbWRw", "MSRz_bWRw", "!!!!", "/////w=="])
def test_what_android_cannot_decode_is_refused(encoded: str) -> None:
    with pytest.raises(ValueError, match=r"base64|activation code"):
        ActivationCode.from_profile_activation_code(encoded)


@given(st.binary(min_size=16, max_size=16))
def test_a_generated_matching_id_has_five_groups_that_tell_the_random_octets(data: bytes) -> None:
    made = MatchingId.generate(data, "T1")
    prefix, *groups = made.split("-")
    assert prefix == "T1"
    assert [len(group) for group in groups] == [5] * 5
    assert not set("ILOU") & set("".join(groups))
    symbols = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    value = sum(symbols.index(one) << 5 * at for at, one in enumerate("".join(groups)))
    assert value == int.from_bytes(data, "big") & (1 << 125) - 1


def test_a_matching_id_of_other_symbols_or_too_few_random_octets_is_refused() -> None:
    for text in ("abc", "A B", "A$B", "A" * 255):
        with pytest.raises(ValueError, match="matching id"):
            MatchingId(text)
    with pytest.raises(ValueError, match="16 random octets"):
        MatchingId.generate(bytes(15))
    with pytest.raises(ValueError, match="matching id"):
        MatchingId.generate(bytes(16), "tenant")


def test_secrets_do_not_show_in_a_repr() -> None:
    shown = repr(
        [
            ActivationCode("smdp.example.com", MatchingId("SECRET-SECRET")),
            MatchingId("SHORT"),
            MatchingId("ABCDE-FGHJK"),
            ConfirmationCode("4711"),
            Eid("89049032123451234512345678901235"),
        ]
    )
    for secret in ("SECRET", "SHORT", "FGHJK", "4711", "123451234512345678901"):
        assert secret not in shown


@pytest.mark.parametrize(
    "text",
    [
        "89049032123451234512345678901235",
        "89049032000000000000000000000066",
        "89999001000000000000000000004226",
    ],
)
def test_check_digits_of_an_eid_are_those_of_mod_97(text: str) -> None:
    eid = Eid(text)
    assert eid.check_digits_are_valid
    assert f"{98 - int(text[:30] + '00') % 97:02}" == text[30:]
    wrong = Eid(f"{text[:10]}{(int(text[10]) + 1) % 10}{text[11:]}")
    assert not wrong.check_digits_are_valid


@pytest.mark.parametrize("text", ["", "8904903212345", "8" * 31, "8" * 33, "8" * 31 + "F"])
def test_what_is_no_eid_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="32 digits"):
        Eid(text)


def test_an_iccid_is_the_same_with_and_without_its_f_nibble() -> None:
    """ES2-21"""
    assert Iccid("8949000000000000001F") == Iccid("8949000000000000001f") == "8949000000000000001"
    assert Iccid("8949000000000000018").padded == "8949000000000000018F"
    assert Iccid("89490000000000000184").padded == "89490000000000000184"


def test_the_luhn_digit_of_an_iccid() -> None:
    assert Iccid("8949000000000000000").check_digit_is_valid
    assert Iccid("8949000000000000018F").check_digit_is_valid
    assert not Iccid("8949000000000000001").check_digit_is_valid


@given(st.text("0123456789", min_size=17, max_size=19))
def test_exactly_one_luhn_digit_fits(body: str) -> None:
    assert sum(Iccid(f"{body}{digit}").check_digit_is_valid for digit in range(10)) == 1


CLASSES = {
    (Function.RELEASE_PROFILE, "8.2.1/3.9"): StatusClass.ICCID_UNUSABLE,
    (Function.CANCEL_ORDER, "8.2.1/1.2"): StatusClass.FATAL_CONFIGURATION,
    (Function.DOWNLOAD_ORDER, "8.2.1/3.3"): StatusClass.MAYBE_DONE,
    (Function.CANCEL_ORDER, "8.2.1/3.3"): StatusClass.MAYBE_DONE,
    (Function.CONFIRM_ORDER, "8.2.1/3.3"): StatusClass.BUSINESS_REFUSAL,  # by its reason
    (Function.DOWNLOAD_ORDER, "8.2.5/3.7"): StatusClass.POOL_EMPTY,
    (Function.DOWNLOAD_ORDER, "8.2.5/3.8"): StatusClass.FATAL_CONFIGURATION,
    (Function.CONFIRM_ORDER, "8.2.6/3.3"): StatusClass.MATCHING_ID_TAKEN,
    (Function.CANCEL_ORDER, "8.2.6/3.10"): StatusClass.RECONCILE,
    (Function.CONFIRM_ORDER, "8.1.1/2.2"): StatusClass.FATAL,
    (Function.CONFIRM_ORDER, "8.9/5.1"): StatusClass.TRANSIENT,
    (Function.RELEASE_PROFILE, "8.2.1/3.5"): StatusClass.RECONCILE,
    (Function.DOWNLOAD_ORDER, "1.1/1.1"): StatusClass.FATAL,
    (Function.DOWNLOAD_ORDER, "8.8/5.1"): StatusClass.TRANSIENT,
    (Function.DOWNLOAD_ORDER, "8.8/4.2"): StatusClass.TRANSIENT,
    (Function.HANDLE_DOWNLOAD_PROGRESS_INFO, "8.8.5/6.4"): StatusClass.SECURITY_ALARM,
    (Function.HANDLE_DOWNLOAD_PROGRESS_INFO, "8.8.5/3.8"): StatusClass.BUSINESS_REFUSAL,
    (Function.DOWNLOAD_ORDER, "8.1/4.8"): StatusClass.FATAL,
}


@pytest.mark.parametrize(
    ("function", "code", "expected"), [(*key, value) for key, value in CLASSES.items()]
)
def test_a_code_has_the_class_of_its_function_or_of_its_reason(
    function: Function, code: str, expected: StatusClass
) -> None:
    assert status_class(function, StatusCode(*code.split("/"))) is expected


def test_a_failure_without_a_code_is_for_people_to_look_at() -> None:
    """ES2-20"""
    assert status_class(Function.CONFIRM_ORDER, None) is StatusClass.FATAL_CONFIGURATION


def test_a_code_in_words() -> None:
    assert StatusCode("8.2.1", "3.9").text == "profile ICCID: unknown"
    assert StatusCode("9.9", "7.7").text == "9.9: 7.7"
    assert all([*SUBJECTS.values(), *REASONS.values()])


def test_the_code_that_android_shows() -> None:
    assert android_detailed_code(StatusCode("8.11.1", "5.1")) == 0x0A8B1051
    assert android_detailed_code(StatusCode("8.2.6", "3.8")) == 0x0A826038
    for wrong in ("8.16", "1.2.3.4", "x", "-1"):
        with pytest.raises(ValueError, match=r"nibbles|invalid literal"):
            android_detailed_code(StatusCode(wrong, "1.1"))
