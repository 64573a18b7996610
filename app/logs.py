"""How the log is written: a line an event on stderr, for people or for programs. Texts are in it only if asked for."""

import logging
import sys
from collections.abc import Mapping
from typing import Any, Literal

LogFormat = Literal["text", "json"]
_texts = logging.getLogger("sentopic.texts")


def configure(form: LogFormat, *, requests: bool = False) -> None:
    """Sets up the log of this process. `requests`: a line for each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_json_formatter() if form == "json" else logging.Formatter("sentopic: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("sentopic").setLevel(logging.INFO)
    logging.getLogger("sentopic.requests").setLevel(logging.INFO if requests else logging.WARNING)
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # it warns of every request that it does not understand
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)  # pages about a connection that was lost


def _json_formatter() -> logging.Formatter:
    from pythonjsonlogger.json import JsonFormatter

    names = {"levelname": "level", "name": "logger"}
    return JsonFormatter("%(levelname)s %(name)s %(message)s", rename_fields=names, timestamp="time")


def tell_text(text: Any, content: Mapping[str, Any]) -> None:
    """A text and what was answered, if it was: only where `log_texts` says so."""
    if "label" in content:
        told = {name: content[name] for name in ("task", "model", "label", "confidence")}
        _texts.info("%s: %s", content["id"], ascii(text), extra={"request": content["id"], "text": text, **told})
