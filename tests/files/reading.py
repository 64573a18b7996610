"""Files in memory for the readers' tests."""

from app.files.lines import Position
from app.files.open import choose_shape, open_reader, open_writer
from app.files.rows import Format, Row, Told

ANSWER = Told("pos", 0.75, False, ("text_cut",), None)


class Memory:
    """A source that gives a few bytes at a time."""

    def __init__(self, data: bytes, piece: int = 7) -> None:
        self.data, self._piece, self._at = data, piece, 0

    def read(self, size: int) -> bytes:
        end = self._at + min(size, self._piece)
        found, self._at = self.data[self._at : end], min(end, len(self.data))
        return found

    def is_idle(self) -> bool:
        return False

    def seek(self, offset: int) -> None:
        self._at = offset

    def close(self) -> None:
        pass


def read(data: bytes, form: Format, text: str | None = None, limit: int = 1_000) -> list[Row]:
    return list(open_reader(Memory(data), form, text, max_line_bytes=limit))


def rewrite(data: bytes, form: Format, to: Format, told: Told = ANSWER) -> bytes:
    """What comes of a file whose every good row has the same answer."""
    reader = open_reader(Memory(data), form)
    rows = list(reader)
    writer = open_writer(reader, choose_shape(reader, rows, to))
    answers = [told if row.error is None else Told(None, None, None, (), row.error) for row in rows]
    return writer.head() + writer.write(rows, answers)


def read_on(data: bytes, form: Format, text: str | None = None) -> list[list[Row]]:
    """The rows behind each row, as another reader gives them that begins there."""
    reader = open_reader(Memory(data), form, text)
    found = []
    places: list[Position] = [reader.position, *(reader.position for _ in reader)]
    for place in places:
        other = open_reader(Memory(data), form, reader.text)
        other.move(place)
        found.append(list(other))
    return found
