"""What a row holds, as other formats than its own have it."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from app.files.rows import Told

OTHER: Final = "other"
"""The column for what a row has beyond the columns, as JSON."""


def fit_columns(values: Mapping[str, Any], columns: Sequence[str], other: str | None = None) -> list[Any]:
    """A row's values in the columns' order, None where it has none; what has no column goes into `other`."""
    if other is None:
        return [values.get(column) for column in columns]
    known = set(columns) - {other}
    beyond = {name: value for name, value in values.items() if name not in known}
    held: Mapping[str, Any] = {**values, other: beyond or None}
    return [held.get(column) for column in columns]


def to_text(value: Any) -> str:
    """As a table of texts has it: nothing as nothing, numbers and lists as JSON has them, moments by ISO 8601."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, bool | int | float | dict | list):
        return to_json(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


_encode = json.JSONEncoder(ensure_ascii=False, default=to_text, allow_nan=False).encode


def to_json(value: Any) -> str:
    """JSON that every parser takes: what is no number is null."""
    try:
        return _encode(value)
    except ValueError:
        return _encode(_without_nan(value))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if value - value == 0 else None
    if isinstance(value, dict):
        return {name: _without_nan(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(held) for held in value]
    return value


def format_told(told: Told) -> list[str]:
    """As a table of texts has it."""
    if told.error is not None:
        return ["", "", "", "", told.error]
    return [told.label or "", repr(told.confidence), "true" if told.uncertain else "false", " ".join(told.warnings), ""]
