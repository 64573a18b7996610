"""httpx, in what both clients share: how it is set up, what a call is to it, and what its errors mean here."""

from pathlib import Path
from typing import Any, Final

import httpx

from sentopic import __version__
from sentopic.client.exchange import Call, Lost, Reply

PIECE_BYTES: Final = 65_536
_CONNECT_S: Final = 5.0
"""A machine that does not answer at all is tried again, rather than waited for as long as an answer may take."""

_LIMITS: Final = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=2.5)
"""An idle connection is let go of before the service does so (`keep_alive_s`, 5), or a request might go into it."""

_UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)


def set_up(url: str, key: str | None) -> dict[str, Any]:
    """Arguments of httpx' clients. Raises ValueError for what is no URL or no key."""
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in {"http", "https"} or not parsed.host:
        raise ValueError("url: http://HOST:PORT or https://HOST, with a path where the service is behind one")
    headers = {"User-Agent": f"sentopic-python/{__version__}", "Accept": "application/json, */*;q=0.5"}
    if key is not None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise ValueError("key: printable ASCII without spaces")
        headers["X-API-Key"] = key
    return {"base_url": parsed, "headers": headers, "limits": _LIMITS}


def describe(call: Call, timeout_s: float) -> dict[str, Any]:
    """Arguments of `build_request`, less the content."""
    headers = {}
    if call.body is not None:
        headers["Content-Type"] = call.media_type
    if isinstance(call.body, Path):
        headers["Content-Length"] = str(call.body.stat().st_size)
    timeout_s = max(timeout_s, 0.001)
    timeout = httpx.Timeout(timeout_s, connect=min(timeout_s, _CONNECT_S))
    params = dict(call.params) or None
    return {"method": call.method, "url": call.path, "params": params, "headers": headers, "timeout": timeout}


def take(response: httpx.Response, body: bytes) -> Reply:
    return Reply(response.status_code, {name.lower(): value for name, value in response.headers.items()}, body)


def lose(error: httpx.RequestError) -> Lost:
    """httpx' errors name addresses and system errors, never what was sent."""
    if isinstance(error, _UNSENT):
        return Lost(f"no connection to the service: {error or type(error).__name__}", unsent=True)
    if isinstance(error, httpx.TimeoutException):
        return too_late()
    return Lost(f"the connection to the service broke: {error or type(error).__name__}")


def too_late() -> Lost:
    return Lost("no answer within the client's timeout", timed_out=True)
