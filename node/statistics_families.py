"""From any `statistics()` to metric families: what a frozen dataclass says of itself is enough.

| field | becomes |
|---|---|
| number | `entitlement_<part>_<field>`: a gauge if name or help tell of now, else a counter |
| bool | a gauge of 0 or 1; over several workers it is 1 when all are |
| text or enum named as identity (`name`, `host`, `peer`, …) | a label of the other rows |
| other text or enum that tells a state | a row with the state as label and the value 1 |
| mapping of text to number | rows with the label `kind` |
| sequence of dataclasses | rows with the identity (else `index`) as label |
| mapping to dataclasses | the same, with the key as label `part` |

Help texts are the docstring under a field, or the comment behind it.
"""

import ast
import dataclasses
import inspect
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import cache
from typing import Final

from node.families import Family, Kind, Merge, Row

PREFIX: Final = "entitlement"
_IDENTITIES: Final = ("name", "host", "peer", "origin_host", "address", "listen", "listener")
_STATES: Final = ("state", "phase", "status")
# Words of field names that tell how it stands now; everything else only ever grows.
_PRESENT: Final = frozenset(
    {"alive", "armed", "open", "pending", "ready", "running", "waiting", "now", "queued"}
    | {"current", "level", "capacity", "bound", "size", "idle", "active", "progress", "flight"}
    | {"delay", "percent", "peers", "mail", "unfinished", "draining"}
)
_MOST: Final = frozenset({"most", "longest", "largest", "highest", "peak", "max", "lag", "age"})
_LEAST: Final = frozenset({"least", "shortest", "lowest", "expires", "remaining"})
_NOW: Final = re.compile(r"\bnow\b")  # or the help text says so


class Sheet:
    """Collects families by name while walking over the parts."""

    def __init__(self) -> None:
        self.families: dict[str, Family] = {}

    def add(self, part: str, statistics: object) -> None:
        """Take what a part's `statistics()` returned."""
        self._take(part, statistics, (), ())

    def _take(
        self, path: str, given: object, names: tuple[str, ...], values: tuple[str, ...]
    ) -> None:
        if dataclasses.is_dataclass(given) and not isinstance(given, type):
            fields = {one.name: getattr(given, one.name) for one in dataclasses.fields(given)}
            self._dataclass(path, help_texts(type(given)), fields, names, values)
        elif isinstance(given, Mapping):
            label = "part" if "part" not in names else "kind"
            for key, item in given.items():
                self._take(path, item, (*names, label), (*values, text_of(key)))
        elif isinstance(given, list | tuple):
            for index, item in enumerate(given):
                if any(hasattr(item, name) for name in _IDENTITIES):
                    self._take(path, item, names, values)
                else:
                    self._take(path, item, (*names, "index"), (*values, str(index)))

    def _dataclass(
        self,
        path: str,
        helps: Mapping[str, str],
        fields: dict[str, object],
        names: tuple[str, ...],
        values: tuple[str, ...],
    ) -> None:
        for name in _IDENTITIES:
            identity = fields.get(name)
            if isinstance(identity, str | Enum | bytes) and name not in names:
                names, values = (*names, name), (*values, text_of(identity))
                del fields[name]
        for name, value in fields.items():
            self._field(path, name, helps.get(name, ""), value, names, values)

    def _field(
        self,
        path: str,
        name: str,
        help_text: str,
        value: object,
        names: tuple[str, ...],
        values: tuple[str, ...],
    ) -> None:
        full = f"{path}_{name}"
        if isinstance(value, bool):
            self._row(full, "gauge", "min", help_text, names, Row(values, float(value)))
        elif isinstance(value, int | float):
            kind, merge = _nature(name, help_text)
            self._row(full, kind, merge, help_text, names, Row(values, float(value)))
        elif isinstance(value, Enum) or (isinstance(value, str) and name in _STATES):
            row = Row((*values, text_of(value)), 1.0)
            self._row(full, "gauge", "sum", help_text, (*names, name), row)
        elif isinstance(value, Mapping) and all(isinstance(v, int | float) for v in value.values()):
            kind, merge = _nature(name, help_text)
            for key, count in value.items():
                row = Row((*values, text_of(key)), float(count))
                self._row(full, kind, merge, help_text, (*names, "kind"), row)
        else:
            self._take(full, value, names, values)

    def _row(
        self,
        name: str,
        kind: Kind,
        merge: Merge,
        help_text: str,
        labels: tuple[str, ...],
        row: Row,
    ) -> None:
        name = re.sub(r"[^a-z0-9_]", "_", f"{PREFIX}_{name}".lower()).removesuffix("_total")
        family = self.families.setdefault(
            name, Family(name, kind, help_text or _words(name), labels, [], merge)
        )
        if family.labels == labels:  # else two parts share a name: the first one keeps it
            family.rows.append(row)


def _nature(name: str, help_text: str) -> tuple[Kind, Merge]:
    words = set(name.split("_"))
    if words & _MOST:
        return "gauge", "max"
    if words & _LEAST:
        return "gauge", "min"
    if words & _PRESENT or _NOW.search(help_text):
        return "gauge", "sum"
    return "counter", "sum"


def text_of(value: object) -> str:
    """A value as a label shows it."""
    if isinstance(value, Enum):
        return value.name.lower()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, tuple):
        return "/".join(map(text_of, value))
    return str(value)


def _words(name: str) -> str:
    return name.removeprefix(f"{PREFIX}_").replace("_", " ").capitalize() + "."


@cache
def help_texts(kind: type) -> dict[str, str]:
    """Field name to help text, from the source of a dataclass; empty where there is none."""
    try:
        source = inspect.cleandoc("\n" + inspect.getsource(kind))
        body = ast.parse(source).body[0]
    except (OSError, TypeError, SyntaxError, IndentationError):
        return {}
    if not isinstance(body, ast.ClassDef):
        return {}
    texts = _attributes(ast.get_docstring(body) or "")
    comments = dict(_comments(source))
    for node, following in zip(body.body, [*body.body[1:], None], strict=True):
        if not (isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)):
            continue
        if (
            isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            texts[node.target.id] = _sentence(following.value.value)
        elif node.end_lineno in comments:
            texts[node.target.id] = _sentence(comments[node.end_lineno])
    return texts


def _attributes(docstring: str) -> dict[str, str]:
    """What the `Attributes:` part of a class docstring says, `a, b: text` for both."""
    _, _, part = docstring.partition("Attributes:")
    texts = {}
    for match in re.finditer(r"^ {4}(\w[\w, ]*): (.+(?:\n {6,}.+)*)", part, re.MULTILINE):
        for name in match[1].split(", "):
            texts[name] = _sentence(match[2])
    return texts


def _comments(source: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string.lstrip("# ")


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text[:1].upper() + text[1:].rstrip(".") + "."
