"""What lets somebody download a profile does not stand in a log."""

import pytest

from node.log_masking import mask_text, mask_values


@pytest.mark.parametrize(
    "text",
    [
        "code LPA:1$smdp.example.com$SECRET-1$2.999.10$1 sent",
        "1$smdp.example.com$SECRET-1",
        'body {"matchingId":"SECRET-1","releaseFlag":true}',
        "confirmOrder(matching_id='SECRET-1')",
        '{"confirmationCode": "SECRET-1"}',
    ],
)
def test_order_secrets_are_taken_out_of_texts(text: str) -> None:
    masked = mask_text(text)
    assert "SECRET" not in masked
    assert "…" in masked


def test_order_secrets_are_taken_out_of_values() -> None:
    values = {"matching_id": "A-1", "confirmation_code": "4711", "activation_code": "1$x$A"}
    assert set(mask_values(values).values()) == {"…"}


def test_other_texts_stay() -> None:
    for text in ("1$", "cost 1$ or 2$", "no matching id", "the matching id is in use"):
        assert mask_text(text) == text
