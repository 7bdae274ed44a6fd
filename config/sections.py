"""From a parsed TOML table to the typed sections of `config/model.py`, with every mistake at once.

msgspec stops at the first error; a person who edits a file wants them all. So sections are walked
here field by field, and only the leaves are left to msgspec.
"""

import difflib
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, Union, get_args, get_origin

import msgspec

from config.model import Section
from config.rules import RULES

NONE: Final = "none"  # TOML has no null; fields that may be absent accept this word

_KINDS: Final[dict[object, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

S = TypeVar("S", bound=Section)


@dataclass(slots=True)
class Walk:
    """One pass over a file.

    Attributes:
        resolve: turns a text as it stands in the file into its value (`file:`, `env:`); raises
            ValueError with the reason. None: such references are left as they are, unchecked.
        problems: `dotted.path: what is wrong`, in the order of the model.
    """

    resolve: Callable[[str], str] | None
    problems: list[str] = field(default_factory=list)

    def problem(self, path: str, text: str) -> None:
        """Note that the value at `path` is wrong."""
        self.problems.append(f"{path}: {text}")

    def section(self, kind: type[S], table: object, path: str) -> S | None:
        """Build the section `kind` from a table; None if anything in it is wrong."""
        before = len(self.problems)
        values = self.fields(kind, table, path)
        return kind(**values) if len(self.problems) == before else None

    def fields(self, kind: type[Section], table: object, path: str) -> dict[str, Any]:
        """The values of the section `kind` by field name; a section that is wrong is None."""
        if not isinstance(table, dict):
            self.problem(path, "a table of keys and values is expected")
            return {}
        known = {item.encode_name: item for item in msgspec.structs.fields(kind)}
        for key in table:
            if key not in known:
                self.problem(_join(path, key), f"no such key{_suggestion(key, list(known))}")
        values: dict[str, Any] = {}
        for key, item in known.items():
            if key in table:
                values[item.name] = self._field(kind, item, table[key], _join(path, key))
            elif item.required:
                self.problem(_join(path, key), "is missing")
        return values

    def _field(
        self, kind: type[Section], item: msgspec.structs.FieldInfo, given: object, path: str
    ) -> object:
        before = len(self.problems)
        value = self.value(item.type, given, path)
        rule = RULES.get((kind, item.name))
        if rule is None or len(self.problems) != before:
            return value
        each = [(path, value)]
        if isinstance(value, tuple):
            each = [(f"{path}[{at}]", one) for at, one in enumerate(value)]
        for where, one in each:
            wrong = None if self.resolve is None and is_reference(one) else rule(one)
            if wrong is not None:
                self.problem(where, wrong)
        return value

    def value(self, kind: object, given: object, path: str) -> object:
        """Build a value of the type `kind`; what it returns after a problem is never used."""
        if isinstance(kind, type) and issubclass(kind, Section):
            return self.section(kind, given, path)
        origin = get_origin(kind)
        if origin is tuple:
            return self._tuple(get_args(kind)[0], given, path)
        if origin is dict:
            return self._dict(get_args(kind)[1], given, path)
        if origin in (types.UnionType, Union):
            if given == NONE:
                return None
            (kind,) = (option for option in get_args(kind) if option is not types.NoneType)
            return self.value(kind, given, path)
        return self._leaf(kind, given, path)

    def _tuple(self, kind: object, given: object, path: str) -> object:
        if not isinstance(given, list):
            self.problem(path, 'a list is expected, such as ["…"]')
            return None
        return tuple(self.value(kind, item, f"{path}[{at}]") for at, item in enumerate(given))

    def _dict(self, kind: object, given: object, path: str) -> object:
        if not isinstance(given, dict):
            self.problem(path, "a table of keys and values is expected")
            return None
        return {key: self.value(kind, item, _join(path, key)) for key, item in given.items()}

    def _leaf(self, kind: object, given: object, path: str) -> object:
        if isinstance(given, str) and kind is str:
            if self.resolve is None:
                return given
            try:
                return self.resolve(given)
            except ValueError as error:
                self.problem(path, str(error))
                return None
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError:
            # Not msgspec's text: it names Python's types, and might quote a secret.
            self.problem(path, f"{_KINDS[kind]} is expected")
            return None


def is_reference(value: object) -> bool:
    """Whether a value stands for another one (`file:PATH`, `env:NAME`) and was left as it is."""
    return isinstance(value, str) and value.startswith(("file:", "env:"))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _suggestion(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
    return f", did you mean {near[0]}?" if near else ""
