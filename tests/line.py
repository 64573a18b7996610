"""A transport without a network."""


class Line:
    """Holds what is written until the client reads it."""

    def __init__(self) -> None:
        self.unread = 0
        self.sent: list[bytes] = []
        """Packets."""
        self.aborted = self.closed = False
        self.is_read = True

    def write(self, data: bytes) -> None:
        self.unread += len(data)
        self.sent.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unread

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted or self.closed

    def get_extra_info(self, _: str) -> None:
        return None
