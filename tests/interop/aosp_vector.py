"""The EAP-AKA conversation that is published with Android's own entitlement client.

Identity, keys and packets of one real card; the MACs are right. Only the bytes count here: neither
side computes anything.
"""

import base64
from typing import Final

IDENTITY: Final = "0234107813240779@nai.epc.mnc010.mcc234.3gppnetwork.org"

IDENTITY_RESPONSE: Final = base64.b64decode(
    "AgEAOwEwMjM0MTA3ODEzMjQwNzc5QG5haS5lcGMubW5jMDEwLm1jYzIzNC4zZ3BwbmV0d29yay5vcmc="
)
# AT_RAND, AT_AUTN, AT_MAC, AT_IV, AT_ENCR_DATA
CHALLENGE: Final = base64.b64decode(
    "AQIAfBcBAAABBQAAXOZSkCjxysgE43GWqHJvgQIFAABrikWGrekAALNU4TxmCDPoCwUAAJT0nqXeAYlqzT0UGXINENWB"
    "BQAA7z3fhImkq+vcCKWIZBdvuYIJAAAPRUFp7KWFo+Thr78Qj9hEkB2zA0i6KakODsufBC+BJQ=="
)
ANSWER: Final = base64.b64decode("AgIAKBcBAAADAwBAx58CpZ/Jo48LBQAAHBQb3d6L7y5QL7Z5OAjefA==")
SYNCHRONISATION_FAILURE: Final = base64.b64decode("AgIAGBcEAAAEBDPVjTlhnCEzZ+N2EVMV")
MSK: Final = bytes.fromhex(
    "C89D548418DE693F9E7C1CBF16EA39ABCDDD03873C150776240FE64DA5567B19"
    "CB66A61A1D9407D1CE609C36E8D20FFEA3548727862D8E27AD541251162041F7"
)
