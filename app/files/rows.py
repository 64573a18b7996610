"""What all files of texts have in common: their rows, whoever reads them, and the columns that an answer adds."""

from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, get_args

from app.errors import FileError
from app.files.lines import Position

Format = Literal["csv", "jsonl", "parquet", "lines"]
FORMATS: Final[tuple[Format, ...]] = get_args(Format)

DEFAULT_TEXT: Final = "text"
"""The column that holds the texts, unless another one is named."""

MAX_COLUMNS: Final = 10_000
MAX_NAMES_CHARS: Final = 200_000
"""Of all columns' names: what a file looks like is kept with its job."""

_PREFIX: Final = "sentopic_"
_OWN: Final = "own_"


class Row(NamedTuple):
    """`line`: the one that it begins in, from 1 (in Parquet, the row). `error`: why it has no text that could be read.

    `cells`: all of it, as its reader keeps it.
    """

    line: int
    text: str
    error: str | None
    cells: Any


class Told(NamedTuple):
    """What is written beside a row: an answer, or an error."""

    label: str | None
    confidence: float | None
    uncertain: bool | None
    warnings: Sequence[str]
    error: str | None


class Reader(Protocol):
    """Iterates over rows. Raises FileError where no more of the file can be read; `position` is then where it ends.

    `text`: the column that has the texts. `columns`: all of them; None where each row has its own.
    """

    format: Format
    unit: str
    text: str
    columns: list[str] | None

    @property
    def position(self) -> Position:
        """Behind the last row given."""
        ...

    @property
    def bytes_read(self) -> int:
        """Grows by a row's bytes with each; in Parquet, by those in memory."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def values(self, row: Row) -> dict[str, Any]:
        """A row's columns, each with what it holds."""
        ...

    def is_idle(self) -> bool:
        """Whether the next row might be long in coming."""
        ...

    def move(self, position: Position) -> None:
        """To a place that `position` has told, in another run maybe."""
        ...

    def close(self) -> None: ...


class Writer(Protocol):
    """Turns rows into bytes. Those of `head` and then of each call of `write`, one behind the other, are the result."""

    format: Format

    def head(self) -> bytes: ...
    def write(self, rows: Sequence[Row], told: Sequence[Told]) -> bytes: ...


def name_columns(columns: Container[str]) -> list[str]:
    """The names of what is written beside a row, in the order of `Told`; with a prefix where the row has it already."""
    return [free_name(name, columns) for name in Told._fields]


def free_name(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = _PREFIX + name
    return name


def set_aside(own: Iterable[str], names: Container[str]) -> dict[str, str]:
    """New names for those of a row's fields that are called as the file's answers are: such a name is the answer's.

    Only a row behind the first ones, by which the answers were named, can have them.
    """
    held = set(own)
    found = dict[str, str]()
    for name in own:
        if name in names:
            new = _OWN + name
            while new in held or new in names:
                new = _OWN + new
            found[name] = new
    return found


def without_repeats(columns: Sequence[str]) -> list[str]:
    """Each once: the second of a name gets a number. Raises FileError for more than anybody has."""
    if len(columns) > MAX_COLUMNS or sum(map(len, columns)) > MAX_NAMES_CHARS:
        raise FileError(f"more than {MAX_COLUMNS:,} columns, or {MAX_NAMES_CHARS:,} characters of their names", 1)
    return number_repeats(columns)


def number_repeats(columns: Sequence[str]) -> list[str]:
    """Each once, however many there are."""
    found = dict[str, int]()
    for column in columns:
        name = column
        while name in found:  # none is tried twice, as all may have one name
            found[column] += 1
            name = f"{column}_{found[column]}"
        found[name] = 1
    return list(found)


def blank(text: str) -> str | None:
    """Why a text cannot be answered, if it has nothing in it."""
    return None if text.strip(" \t\r\n") else "there is no text"
