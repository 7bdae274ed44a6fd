"""Key derivation against the recorded conversations, RFC 9048's own values, and two generators."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.eap import keys
from protocols.eap.sha1_compression import best_compression, compress_python, load_libcrypto
from tests.protocols.eap import eap_vectors as v

needs_libcrypto = pytest.mark.skipif(load_libcrypto() is None, reason="libcrypto is missing")


def test_keys_of_the_relay_example() -> None:
    found = keys.aka_keys(v.RELAY_NAI.encode(), v.RELAY_IK, v.RELAY_CK)
    assert (found.k_encr, found.k_aut, found.msk) == (v.RELAY_K_ENCR, v.RELAY_K_AUT, v.RELAY_MSK)
    assert keys.aka_authentication_key(v.RELAY_NAI.encode(), v.RELAY_IK, v.RELAY_CK) == found.k_aut


def test_keys_of_the_recorded_eap_aka_conversation() -> None:
    found = keys.aka_keys(v.AKA_NAI.encode(), v.AKA_IK, v.AKA_CK)
    assert found == keys.Keys(
        v.AKA_K_ENCR, v.AKA_K_AUT, v.AKA_MSK, v.AKA_EMSK, k_re=b"", mk=v.AKA_MK
    )


def test_reauthentication_keys_of_the_recorded_eap_aka_conversation() -> None:
    identity = v.AKA_REAUTH_IDENTITY[5:]
    seed = hashlib.sha1(identity + b"\0\x01" + v.AKA_NONCE_S + v.AKA_MK).digest()  # noqa: S324
    assert seed == v.AKA_XKEY
    msk, emsk = keys.aka_reauthentication_keys(v.AKA_MK, identity, 1, v.AKA_NONCE_S)
    assert (msk, emsk) == (v.AKA_REAUTH_MSK, v.AKA_REAUTH_EMSK)


def test_keys_of_the_recorded_eap_aka_prime_conversation() -> None:
    ck_prime, ik_prime = keys.ck_ik_prime(v.PRIME_CK, v.PRIME_IK, b"WLAN", v.PRIME_AUTN)
    assert (ck_prime, ik_prime) == (v.PRIME_CK_PRIME, v.PRIME_IK_PRIME)
    found = keys.aka_prime_keys(v.PRIME_NAI.encode(), ik_prime, ck_prime)
    assert found == keys.Keys(
        v.PRIME_K_ENCR, v.PRIME_K_AUT, v.PRIME_MSK, v.PRIME_EMSK, k_re=v.PRIME_K_RE
    )


def test_reauthentication_keys_of_the_recorded_eap_aka_prime_conversation() -> None:
    identity = v.PRIME_REAUTH_IDENTITY[5:]
    msk, emsk = keys.aka_prime_reauthentication_keys(v.PRIME_K_RE, identity, 1, v.PRIME_NONCE_S)
    assert (msk, emsk) == (v.PRIME_REAUTH_MSK, v.PRIME_REAUTH_EMSK)


def test_keys_of_rfc_9048_appendix_c_case_1() -> None:
    ck = bytes.fromhex("5349fbe098649f948f5d2e973a81c00f")
    ik = bytes.fromhex("9744871ad32bf9bbd1dd5ce54e3e2e5a")
    autn = bytes.fromhex("bb52e91c747ac3ab2a5c23d15ee351d5")
    ck_prime, ik_prime = keys.ck_ik_prime(ck, ik, b"WLAN", autn)
    assert ck_prime.hex() == "0093962d0dd84aa5684b045c9edffa04"
    assert ik_prime.hex() == "ccfc230ca74fcc96c0a5d61164f5a76c"
    found = keys.aka_prime_keys(b"0555444333222111", ik_prime, ck_prime)
    assert found.k_encr.hex() == "766fa0a6c317174b812d52fbcd11a179"
    assert found.k_aut.hex() == "0842ea722ff6835bfa2032499fc3ec23c2f0e388b4f07543ffc677f1696d71ea"


@given(st.binary(min_size=64, max_size=64))
@needs_libcrypto
def test_both_compressions_agree(block: bytes) -> None:
    fast = load_libcrypto()
    assert fast is not None
    assert fast(block) == compress_python(block)


@given(st.binary(min_size=20, max_size=20), st.integers(1, 160))
def test_the_generator_is_the_same_with_either_compression(seed: bytes, octets: int) -> None:
    fast = keys.generator(seed, octets, best_compression())
    assert fast == keys.generator(seed, octets, compress_python)
    assert len(fast) == octets


def test_the_compression_is_that_of_sha1() -> None:
    # SHA-1 of the empty text is one compression of the padding alone.
    block = b"\x80" + bytes(63)
    assert compress_python(block) == hashlib.sha1(b"").digest()  # noqa: S324


def test_a_missing_library_is_no_fault() -> None:
    assert load_libcrypto(("libcrypto-of-nowhere.so",)) is None
    assert load_libcrypto(("libc.so.6",)) is None


@pytest.mark.parametrize(
    ("type_", "key", "packet", "more"),
    [
        (23, v.RELAY_K_AUT, v.RELAY_RESPONSE, b""),
        (23, v.AKA_K_AUT, v.AKA_CHALLENGE, b""),
        (23, v.AKA_K_AUT, v.AKA_CHALLENGE_RESPONSE, b""),
        (23, v.AKA_K_AUT, v.AKA_NOTIFICATION, b""),
        (23, v.AKA_K_AUT, v.AKA_NOTIFICATION_RESPONSE, b""),
        (23, v.AKA_K_AUT, v.AKA_REAUTH, b""),
        (23, v.AKA_K_AUT, v.AKA_REAUTH_RESPONSE, v.AKA_NONCE_S),
        (23, v.AKA_K_AUT, v.AKA_REAUTH_NOTIFICATION, b""),
        (23, v.AKA_K_AUT, v.AKA_REAUTH_NOTIFICATION_RESPONSE, b""),
        (50, v.PRIME_K_AUT, v.PRIME_CHALLENGE, b""),
        (50, v.PRIME_K_AUT, v.PRIME_CHALLENGE_RESPONSE, b""),
        (50, v.PRIME_K_AUT, v.PRIME_NOTIFICATION, b""),
        (50, v.PRIME_K_AUT, v.PRIME_NOTIFICATION_RESPONSE, b""),
        (50, v.PRIME_K_AUT, v.PRIME_REAUTH, b""),
        (50, v.PRIME_K_AUT, v.PRIME_REAUTH_RESPONSE, v.PRIME_NONCE_S),
        (50, v.PRIME_K_AUT, v.PRIME_REAUTH_NOTIFICATION, b""),
        (50, v.PRIME_K_AUT, v.PRIME_REAUTH_NOTIFICATION_RESPONSE, b""),
        (23, v.RESYNC_FIRST_K_AUT, v.RESYNC_CHALLENGE, b""),
    ],
)
def test_every_recorded_mac_verifies(type_: int, key: bytes, packet: bytes, more: bytes) -> None:
    # In all of these AT_MAC is the last attribute.
    zeroed = packet[:-16] + bytes(16)
    assert keys.mac(type_, key, zeroed, more) == packet[-16:]


@pytest.mark.parametrize(
    ("key", "packet", "plain"),
    [
        (v.AKA_K_ENCR, v.AKA_CHALLENGE, v.AKA_CHALLENGE_PLAIN),
        (v.AKA_K_ENCR, v.AKA_REAUTH, v.AKA_REAUTH_PLAIN),
        (v.AKA_K_ENCR, v.AKA_REAUTH_RESPONSE, v.AKA_REAUTH_RESPONSE_PLAIN),
        (v.PRIME_K_ENCR, v.PRIME_CHALLENGE, v.PRIME_CHALLENGE_PLAIN),
        (v.PRIME_K_ENCR, v.PRIME_REAUTH, v.PRIME_REAUTH_PLAIN),
    ],
)
def test_every_recorded_encrypted_attribute_opens(key: bytes, packet: bytes, plain: bytes) -> None:
    at = packet.index(bytes.fromhex("81050000"))
    iv, head = packet[at + 4 : at + 20], at + 20
    cipher_text = packet[head + 4 : head + packet[head + 1] * 4]
    assert keys.decrypt(key, iv, cipher_text) == plain
    assert keys.encrypt(key, iv, plain) == cipher_text


def test_every_recorded_checkcode_is_over_the_identity_round() -> None:
    code = keys.checkcode(23, [v.AKA_IDENTITY_REQUEST, v.AKA_IDENTITY_RESPONSE])
    assert bytes.fromhex("86060000") + code in v.AKA_CHALLENGE
    code = keys.checkcode(50, [v.PRIME_IDENTITY_REQUEST, v.PRIME_IDENTITY_RESPONSE])
    assert bytes.fromhex("86090000") + code in v.PRIME_CHALLENGE
    assert keys.checkcode(23, []) == b""


def test_keys_are_not_shown() -> None:
    assert repr(keys.aka_keys(b"0", bytes(16), bytes(16))) == "Keys()"
