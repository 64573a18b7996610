"""JSON into the dataclasses of `results`: by their types, strict in what they need, blind to what they do not name."""

import types
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from sentopic.client.errors import UnexpectedAnswerError

Kind = TypeVar("Kind")
Reader = Callable[[Any], Any]


class _Misfit(Exception):  # noqa: N818 - it never leaves this module
    """`path` grows on the way out; what was found instead is not told, as it may be the user's."""

    def __init__(self, path: str = "") -> None:
        self.path = path


def read(kind: type[Kind], data: object, what: str) -> Kind:
    """`data` as `kind`; raises UnexpectedAnswerError, which says `what` was read and which part of it does not fit."""
    hashable: Any = kind  # which no type says of types
    try:
        made: Kind = _reader(hashable)(data)
    except _Misfit as misfit:
        raise UnexpectedAnswerError(f"{what}{misfit.path} is not what this client understands") from None
    return made


@cache
def _reader(kind: Any) -> Reader:
    if is_dataclass(kind) and isinstance(kind, type):
        return _read_fields(kind)
    origin, inner = get_origin(kind), get_args(kind)
    if origin is tuple:
        return _read_items(_reader(inner[0]))
    if origin is dict:
        return _read_values(_reader(inner[1]))
    if origin in (Union, types.UnionType):
        return _read_any_of([_reader(one) for one in inner])
    return _PLAIN[kind]


def _read_fields(kind: type) -> Reader:
    hints = get_type_hints(kind)
    plan = [(one.name, _reader(hints[one.name]), _is_optional(one)) for one in fields(kind)]

    def make(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _Misfit
        found = {}
        for name, reader, optional in plan:
            if name not in data and optional:
                continue
            try:
                found[name] = reader(data[name])
            except KeyError:
                raise _Misfit(f".{name}") from None
            except _Misfit as misfit:
                raise _Misfit(f".{name}{misfit.path}") from None
        return kind(**found)

    return make


def _is_optional(one: Field[Any]) -> bool:
    return one.default is not MISSING or one.default_factory is not MISSING


def _read_items(reader: Reader) -> Reader:
    def make(data: Any) -> Any:
        if not isinstance(data, list):
            raise _Misfit
        return tuple([reader(item) for item in data])

    return make


def _read_values(reader: Reader) -> Reader:
    def make(data: Any) -> Any:
        if not isinstance(data, dict):
            raise _Misfit
        return {name: reader(value) for name, value in data.items()}

    return make


def _read_any_of(readers: list[Reader]) -> Reader:
    def make(data: Any) -> Any:
        for reader in readers[:-1]:
            try:
                return reader(data)
            except _Misfit:
                continue
        return readers[-1](data)

    return make


def _plain(kind: type) -> Reader:
    def make(data: Any) -> Any:
        if type(data) is not kind:
            raise _Misfit
        return data

    return make


def _number(data: Any) -> float:
    if type(data) not in (int, float):
        raise _Misfit
    return float(data)


def _moment(data: Any) -> datetime:
    try:
        return datetime.fromisoformat(data)
    except (TypeError, ValueError):
        raise _Misfit from None


_PLAIN: dict[Any, Reader] = {
    str: _plain(str),
    int: _plain(int),
    bool: _plain(bool),
    types.NoneType: _plain(types.NoneType),
    float: _number,
    datetime: _moment,
}
