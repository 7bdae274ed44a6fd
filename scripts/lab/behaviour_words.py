"""How a behaviour of a lab server is written: `word` and `word=value` with commas between them.

The words are the fields of a dataclass; a value has the type of its field's default.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

Words = Mapping[str, "dataclasses.Field[Any]"]


class BehaviourError(ValueError):
    """A behaviour cannot be read; the text says which word."""


def described(default: Any, text: str) -> Any:  # noqa: ANN401 (a dataclass field of any type)
    """A field with its default and what its word does, for the help."""
    return dataclasses.field(default=default, metadata={"text": text})


def words_of(behaviour: type[Any]) -> Words:
    """The words of a dataclass whose fields all have a default."""
    return {one.name.replace("_", "-"): one for one in dataclasses.fields(behaviour)}


def read_words(text: str, words: Words) -> dict[str, Any]:
    """Values by the name of their field, of the words that are there.

    Raises:
        BehaviourError: a word is unknown or its value wrong.
    """
    given: dict[str, Any] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        word, _, value = part.partition("=")
        row = words.get(word)
        if row is None:
            raise BehaviourError(f"{word!r} is unknown; one of: {', '.join(words)}")
        kind: type[Any] = type(row.default)
        try:
            given[row.name] = value not in ("0", "no") if kind is bool else kind(value)
        except ValueError:
            raise BehaviourError(f"{word}={value!r} is no {kind.__name__}") from None
    return given
