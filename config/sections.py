"""From a parsed TOML table to the typed sections of `config/model.py`, with every mistake at once.

msgspec stops at the first error; a person who edits a file wants them all. So sections are walked
here field by field, and only the leaves are left to msgspec.
"""

import difflib
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import msgspec

from config.model import Section
from config.rules import RULES, Rule

NONE: Final = "none"  # TOML has no null; fields that may be absent accept this word

_KINDS: Final[dict[object, str]] = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
}

S = TypeVar("S", bound=Section)

BAD: Final = object()  # stands for a value that is wrong


class Unknown(Exception):
    """A value that was asked for is wrong in the file."""


class Partial:
    """A section of which something is wrong: stands in for it with the values that are good.

    Asking for another one raises `Unknown`, so that checks between values run on what there is.
    """

    def __init__(self, values: dict[str, Any]) -> None:
        self._values = values

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any field
        try:
            return self._values[name]
        except KeyError:
            raise Unknown(name) from None


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

    def section(self, kind: type[S], table: object, path: str) -> S:
        """Build the section `kind` from a table; a `Partial` if anything in it is wrong."""
        before = len(self.problems)
        values = self.fields(kind, table, path)
        if len(self.problems) == before:
            return kind(**values)
        return cast("S", Partial(values))

    def fields(self, kind: type[Section], table: object, path: str) -> dict[str, Any]:
        """The values of the section `kind` by field name, defaults included; none that is wrong.

        A list with wrong items has `BAD` in their place; a section with wrong values is a
        `Partial`.
        """
        if not isinstance(table, dict):
            self.problem(path, "a table of keys and values is expected")
            return {}
        known = {item.encode_name: item for item in msgspec.structs.fields(kind)}
        meant: set[str | None] = set()  # by a key with a typing mistake
        for key in table:
            if key not in known:
                near = _nearest(key, list(known))
                meant.add(near)
                self.problem(
                    _join(path, key), f"no such key{f', did you mean {near}?' * bool(near)}"
                )
        values: dict[str, Any] = {}
        for key, item in known.items():
            if key in table:
                value = self._field(kind, item, table[key], _join(path, key))
                if value is not BAD:
                    values[item.name] = value
            elif item.required:
                self.problem(_join(path, key), "is missing")
            elif key not in meant:
                values[item.name] = _default(item)
        return values

    def _field(
        self, kind: type[Section], item: msgspec.structs.FieldInfo, given: object, path: str
    ) -> object:
        value = self.value(item.type, given, path)
        rule = RULES.get((kind, item.name))
        if rule is None or value is BAD:
            return value
        if isinstance(value, tuple):
            return tuple(self._ruled(rule, one, f"{path}[{at}]") for at, one in enumerate(value))
        return self._ruled(rule, value, path)

    def _ruled(self, rule: Rule, value: object, path: str) -> object:
        """The value if it obeys the rule, else `BAD`."""
        if value is BAD or (self.resolve is None and is_reference(value)):
            return value
        wrong = rule(value)
        if wrong is None:
            return value
        self.problem(path, wrong)
        return BAD

    def value(self, kind: object, given: object, path: str) -> object:
        """Build a value of the type `kind`; `BAD` after a problem."""
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
            return BAD
        return tuple(self.value(kind, item, f"{path}[{at}]") for at, item in enumerate(given))

    def _dict(self, kind: object, given: object, path: str) -> object:
        if not isinstance(given, dict):
            self.problem(path, "a table of keys and values is expected")
            return BAD
        values = {key: self.value(kind, item, _join(path, key)) for key, item in given.items()}
        return BAD if BAD in values.values() else values

    def _leaf(self, kind: object, given: object, path: str) -> object:
        if isinstance(given, str) and kind is str:
            if self.resolve is None:
                return given
            try:
                return self.resolve(given)
            except ValueError as error:
                self.problem(path, str(error))
                return BAD
        try:
            return msgspec.convert(given, kind)
        except msgspec.ValidationError:
            # Not msgspec's text: it names Python's types, and might quote a secret.
            self.problem(path, f"{_KINDS[kind]} is expected")
            return BAD


def is_reference(value: object) -> bool:
    """Whether a value stands for another one (`file:PATH`, `env:NAME`) and was left as it is."""
    return isinstance(value, str) and value.startswith(("file:", "env:"))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _nearest(key: str, known: list[str]) -> str | None:
    near = difflib.get_close_matches(key.replace("_", "-"), known, n=1)
    return near[0] if near else None


def _default(item: msgspec.structs.FieldInfo) -> object:
    if item.default_factory is not msgspec.NODEFAULT:
        return item.default_factory()
    return item.default
