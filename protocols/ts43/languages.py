"""Choosing a language from Accept-Language (GSMA TS.43 v12 §2.2.2; RFC 9110 §12.5.4, RFC 4647)."""

from functools import lru_cache


@lru_cache(maxsize=1024)
def choose_language(accept_language: str, available: frozenset[str], default: str) -> str:
    """The best available language, by lookup (RFC 4647 §3.4).

    Args:
        accept_language: the field as sent; empty when the client sent none.
        available: tags as written in the texts, such as `en`, `pt-BR`.
        default: the answer when nothing matches.
    """
    tags = {tag.lower(): tag for tag in available}
    for language_range in _by_weight(accept_language.lower()):
        if language_range == "*":
            return default
        while language_range:
            if language_range in tags:
                return tags[language_range]
            language_range = _shortened(language_range)
    return default


def _shortened(language_range: str) -> str:
    """One subtag less; a single letter before the cut goes with it (RFC 4647 §3.4)."""
    rest = language_range.rpartition("-")[0]
    return rest[:-2] if len(rest) > 1 and rest[-2] == "-" else rest


def _by_weight(field: str) -> list[str]:
    """The ranges, heaviest first, in the order sent where weights are equal; weight 0 left out."""
    weighted: list[tuple[float, str]] = []
    for item in field.split(","):
        language_range, _, parameter = item.partition(";")
        weight = _weight(parameter)
        if weight > 0 and language_range.strip():
            weighted.append((weight, language_range.strip().replace("_", "-")))
    return [one for _, one in sorted(weighted, key=lambda pair: -pair[0])]


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 1.0  # a weight that nobody can read does not make the language unwelcome
    return min(weight, 1.0) if weight == weight else 1.0  # NaN is unequal to itself
