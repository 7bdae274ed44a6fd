"""Keys of EAP-AKA and EAP-AKA', message authentication and encryption of attributes.

Source: RFC 4187 §7 with FIPS 186-2 change notice 1 (generator), §10.12 (AT_ENCR_DATA), §10.15
(AT_MAC); RFC 9048 §3.3 (CK', IK'), §3.4 (PRF', AT_MAC). The node itself derives no key: only the
lab's AAA and phones do.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Final

from Crypto.Cipher import AES

from protocols.eap.numbers import EAP_AKA_PRIME
from protocols.eap.sha1_compression import BLOCK_OCTETS, Compression, best_compression

MAC_OCTETS: Final = 16

_160_BITS: Final = 1 << 160


@dataclass(frozen=True, slots=True)
class Keys:
    """What one full authentication gives.

    Attributes:
        k_encr: 16 octets. k_aut: 16 (AKA) or 32 (AKA').
        k_re: 32 octets, EAP-AKA' only, else empty.
        mk: 20 octets, EAP-AKA only, else empty: fast re-authentication starts from it.
        msk, emsk: 64 octets each.
    """

    k_encr: bytes = field(repr=False)
    k_aut: bytes = field(repr=False)
    msk: bytes = field(repr=False)
    emsk: bytes = field(repr=False)
    k_re: bytes = field(default=b"", repr=False)
    mk: bytes = field(default=b"", repr=False)


def generator(seed: bytes, octets: int, compress: Compression | None = None) -> bytes:
    """FIPS 186-2 change notice 1, without reduction by q: `octets` octets from a 20-octet seed.

    3 µs for every 20 octets with libcrypto, 100 without. `compress` is for tests.
    """
    compress = compress or best_compression()
    state = int.from_bytes(seed, "big")
    padding = bytes(BLOCK_OCTETS - 20)
    out = []
    for _ in range(-(-octets // 20)):
        w = compress(state.to_bytes(20, "big") + padding)
        out.append(w)
        state = (1 + state + int.from_bytes(w, "big")) % _160_BITS
    return b"".join(out)[:octets]


def aka_master_key(identity: bytes, ik: bytes, ck: bytes) -> bytes:
    """MK = SHA1(Identity | IK | CK); the identity exactly as the peer sent it last."""
    return hashlib.sha1(identity + ik + ck, usedforsecurity=False).digest()


def aka_keys(identity: bytes, ik: bytes, ck: bytes) -> Keys:
    """Keys of an EAP-AKA full authentication (RFC 4187 §7)."""
    mk = aka_master_key(identity, ik, ck)
    out = generator(mk, 160)
    return Keys(out[:16], out[16:32], out[32:96], out[96:], mk=mk)


def aka_authentication_key(identity: bytes, ik: bytes, ck: bytes) -> bytes:
    """K_aut of EAP-AKA alone: a phone over TS.43 uses nothing else, and it is a quarter of it."""
    return generator(aka_master_key(identity, ik, ck), 32)[16:]


def aka_reauthentication_keys(
    mk: bytes, identity: bytes, counter: int, nonce_s: bytes
) -> tuple[bytes, bytes]:
    """(MSK, EMSK) after a fast re-authentication; K_encr and K_aut stay (RFC 4187 §7)."""
    seed = identity + counter.to_bytes(2, "big") + nonce_s + mk
    out = generator(hashlib.sha1(seed, usedforsecurity=False).digest(), 128)
    return out[:64], out[64:]


def ck_ik_prime(ck: bytes, ik: bytes, network_name: bytes, autn: bytes) -> tuple[bytes, bytes]:
    """(CK', IK') for a network name (TS 33.402 annex A; RFC 9048 §3.3).

    `autn` gives SQN xor AK, its first six octets.
    """
    length = len(network_name).to_bytes(2, "big")
    out = hmac.digest(ck + ik, b"\x20" + network_name + length + autn[:6] + b"\0\x06", "sha256")
    return out[:16], out[16:]


def prf_prime(key: bytes, seed: bytes, octets: int) -> bytes:
    """PRF' (RFC 9048 §3.4.1)."""
    out: list[bytes] = []
    previous = b""
    for n in range(1, -(-octets // 32) + 1):
        previous = hmac.digest(key, previous + seed + bytes((n,)), "sha256")
        out.append(previous)
    return b"".join(out)[:octets]


def aka_prime_keys(identity: bytes, ik_prime: bytes, ck_prime: bytes) -> Keys:
    """Keys of an EAP-AKA' full authentication (RFC 9048 §3.3)."""
    out = prf_prime(ik_prime + ck_prime, b"EAP-AKA'" + identity, 208)
    return Keys(out[:16], out[16:48], out[80:144], out[144:], k_re=out[48:80])


def aka_prime_reauthentication_keys(
    k_re: bytes, identity: bytes, counter: int, nonce_s: bytes
) -> tuple[bytes, bytes]:
    """(MSK, EMSK) after a fast re-authentication (RFC 9048 §3.3)."""
    seed = b"EAP-AKA' re-auth" + identity + counter.to_bytes(2, "big") + nonce_s
    out = prf_prime(k_re, seed, 128)
    return out[:64], out[64:]


def mac(type_: int, k_aut: bytes, packet: bytes, more: bytes = b"") -> bytes:
    """AT_MAC's 16 octets over `packet`, whose own MAC octets are zero.

    Args:
        more: NONCE_S for the response to AKA-Reauthentication (RFC 4187 §9.8), else empty.
    """
    digest = "sha256" if type_ == EAP_AKA_PRIME else "sha1"
    return hmac.digest(k_aut, packet + more, digest)[:MAC_OCTETS]


def checkcode(type_: int, packets: list[bytes]) -> bytes:
    """AT_CHECKCODE over all AKA-Identity requests and responses in order; empty if none."""
    if not packets:
        return b""
    octets = b"".join(packets)
    if type_ == EAP_AKA_PRIME:
        return hashlib.sha256(octets).digest()
    return hashlib.sha1(octets, usedforsecurity=False).digest()


def encrypt(k_encr: bytes, iv: bytes, plain: bytes) -> bytes:
    """AT_ENCR_DATA's cipher text; `plain` is already padded to 16 with AT_PADDING."""
    return AES.new(k_encr, AES.MODE_CBC, iv).encrypt(plain)


def decrypt(k_encr: bytes, iv: bytes, cipher_text: bytes) -> bytes:
    """AT_ENCR_DATA's attributes, AT_PADDING included; a multiple of 16 octets."""
    return AES.new(k_encr, AES.MODE_CBC, iv).decrypt(cipher_text)
