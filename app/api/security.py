"""Who may ask for what, and how often: keys and rates, checked before anything is read of a request."""

import ipaddress
from collections.abc import Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Send

from app.api.errors import answer, documented
from app.errors import ForbiddenError, RequestError, StrangeHostError, StrangeOriginError, UnauthorizedError
from app.keys import Key, Keyring, Scope
from app.scope import KEY

if TYPE_CHECKING:
    from app.rates import Rates

_OPEN: Final = ("/health/live", "/health/ready")
_PAGES: Final = ("/", "/models", "/bulk", "/docs", "/openapi.json")
_FILES: Final = ("/swagger/", "/web/")
_ADMIN: Final = ("/metrics",)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class Guard:
    """Lets a request pass, or raises."""

    def __init__(self, keyring: Keyring | None, rates: "Rates | None", *, open_pages: bool) -> None:
        self._keyring, self._rates, self._open_pages = keyring, rates, open_pages

    async def admit(self, scope: MutableMapping[str, Any]) -> None:
        """Raises UnauthorizedError, ForbiddenError or RateLimitedError."""
        path = scope["path"]
        if path in _OPEN or (self._open_pages and (path in _PAGES or path.startswith(_FILES))):
            return
        key = None
        if self._keyring is not None:
            key = self._authenticate(self._keyring, dict(scope["headers"]), "admin" if path in _ADMIN else "predict")
            scope[KEY] = key.id
        if self._rates is not None:
            await self._rates.count(name_client(scope))

    def _authenticate(self, keyring: Keyring, headers: Mapping[bytes, bytes], wanted: Scope) -> Key:
        token = headers.get(b"x-api-key", b"").strip(b" \t").decode("latin-1")
        kind, _, value = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
        if not token and kind.lower() == "bearer":
            token = value.strip()
        key = keyring.find(token)
        if key is None:
            raise UnauthorizedError
        if not key.admits(wanted):
            raise ForbiddenError(wanted)
        return key


class Visitors:
    """Whose pages may have a browser ask for what is kept or fills the disk: jobs, streams and feedback."""

    def __init__(self, origins: Sequence[str], hosts: Sequence[str] | None) -> None:
        """`hosts`: names by which this service may be asked, or None: any. `origins`: whose pages may ask."""
        self._origins, self._hosts = origins, hosts

    def admit_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises StrangeOriginError for pages of others, where a body is one that browsers send without asking first.

        A file is no more than a form to them, and it could fill the disk. Over plain HTTP they tell no
        `Sec-Fetch-Site`: then a page is our own if it names the host that it asks.
        """
        origin, site = headers.get(b"origin", b"").decode("latin-1"), headers.get(b"sec-fetch-site")
        host = headers.get(b"host", b"").decode("latin-1")
        strange = site in {b"cross-site", b"same-site"} if site else bool(origin) and origin.partition("://")[2] != host
        if strange and "*" not in self._origins and origin not in self._origins:
            raise StrangeOriginError

    def admit_host(self, headers: Mapping[bytes, bytes]) -> None:
        """Raises StrangeHostError where a page's own name has been made to lead here (DNS rebinding)."""
        if self._hosts is None:
            return
        try:
            name = urlsplit("//" + headers.get(b"host", b"").decode("latin-1")).hostname or ""
        except ValueError:
            raise StrangeHostError from None
        if name not in self._hosts and not _is_address(name):
            raise StrangeHostError


def _is_address(name: str) -> bool:
    """No name that leads elsewhere next time."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


class Guarded:
    """ASGI middleware: only what the guard admits comes further in."""

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self._app, self._guard = app, guard

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                await self._guard.admit(scope)
            except RequestError as error:
                await answer(error, scope)(scope, receive, send)
                return
        await self._app(scope, receive, send)


def open_to(app: FastAPI, origins: Sequence[str]) -> None:
    """Lets pages of these origins ask from a browser. Keys are sent by them, cookies there are none."""
    app.add_middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        expose_headers=["Location", "Retry-After", "Server-Timing", "X-Request-ID"],
    )


def document(app: FastAPI, *, keys: bool, rates: bool) -> None:
    """Says in the OpenAPI document how keys are sent, if they are needed, and what the guard may answer."""
    describe = app.openapi
    told = documented(*([401, 403] if keys else []), *([429] if rates else []))

    def describe_with_guard() -> dict[str, Any]:
        found = describe()
        if keys:
            found["components"]["securitySchemes"] = {
                "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "bearer": {"type": "http", "scheme": "bearer"},
            }
            found["security"] = [{"key": []}, {"bearer": []}]
        for path, operations in found["paths"].items():
            for operation in operations.values():
                if path not in _OPEN:
                    operation["responses"] |= {str(status): response for status, response in told.items()}
                elif keys:
                    operation["security"] = []
        return found

    app.openapi = describe_with_guard  # type: ignore[method-assign] # FastAPI's own way to extend it


def name_client(scope: Mapping[str, Any]) -> str:
    """Its key, or where none are asked for its address, of one with 128 bits the network: one client has all of it."""
    return name_key(scope[KEY]) if KEY in scope else f"address {_network(scope)}"


def name_key(key_id: str) -> str:
    """Whoever has it, as a client."""
    return f"key {key_id}"


def _network(scope: Mapping[str, Any]) -> str:
    host = scope["client"][0] if scope.get("client") else "unknown"
    if ":" not in host:
        return str(host)
    try:
        address = ipaddress.IPv6Address(host)
    except ValueError:
        return "unknown"  # a proxy has passed on what is no address
    return str(_inner(address) or ipaddress.IPv6Network((int(address), 64), strict=False))


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that it is another form of: all of these have one network."""
    return address.ipv4_mapped or (ipaddress.IPv4Address(address.packed[12:]) if address in _NAT64 else None)
