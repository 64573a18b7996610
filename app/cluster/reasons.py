"""Why a file system did not do what it should, in words for people: what Arrow says is for programmers."""

import re
from typing import Final

_STORE: Final = re.compile(
    r"AWS Error (?P<code>\w+)(?: \(HTTP status (?P<status>\d+)\))? during \w+ operation: (?P<why>.*)"
)
_STRANGERS: Final = {"ACCESS_DENIED", "INVALID_ACCESS_KEY_ID", "INVALID_CLIENT_TOKEN_ID", "SIGNATURE_DOES_NOT_MATCH"}
_NO_BUCKET: Final = re.compile(r"Bucket '.*' not found")


def explain(error: Exception) -> str:
    """One line, without the file's name."""
    if why := getattr(error, "strerror", None):
        return str(why).lower()
    told = " ".join(str(error).split(". Detail:")[0].split())
    if _NO_BUCKET.search(told):
        return "no such bucket"
    return _of_store(found) if (found := _STORE.search(told)) else told[:1].lower() + told[1:]


def _of_store(found: re.Match[str]) -> str:
    code, why = found["code"], found["why"]
    if code in _STRANGERS or found["status"] in {"401", "403"}:
        return "the store does not let this machine do that: has it the right credentials?"
    if code == "NETWORK_CONNECTION":
        return f"the store cannot be reached: {why.rpartition('details: ')[2]}"
    if code == "NO_SUCH_BUCKET":
        return "no such bucket"
    what = f"HTTP status {found['status']}" if found["status"] else code.lower().replace("_", " ")
    return f"the store says {what}" if why.startswith("No response body") else f"the store says {what}: {why}"
