"""Nobody asks more often than is allowed, whoever they say they are."""

import asyncio
import socket
import time
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from app.errors import SettingsError, StartError
from app.main import create_app
from app.rates import STORAGE_S
from app.settings import SHIPPED, Settings, load_settings


def create(**settings: object) -> FastAPI:
    return create_app(Settings(bundle=[SHIPPED / "topic" / "gru"], **settings))  # type: ignore[arg-type]


def ask(app: FastAPI, times: int, address: str = "192.0.2.1", **headers: str) -> list[int]:
    async def scene() -> list[int]:
        transport = httpx.ASGITransport(app, client=(address, 5))
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            return [(await client.get("/tasks", headers=headers)).status_code for _ in range(times)]

    return asyncio.run(scene())


def test_nobody_has_more_turns_for_saying_to_be_somebody_else() -> None:
    app = create(rate="2/hour")
    assert ask(app, 2) == [200, 200]
    for forged in ("198.51.100.7", "127.0.0.1", "192.0.2.1, 198.51.100.8"):
        assert ask(app, 1, **{"x-forwarded-for": forged, "forwarded": f"for={forged}", "x-real-ip": forged}) == [429]
    assert ask(app, 1, "192.0.2.2") == [200]


def test_trusted_proxy_says_who_the_client_is_and_clients_cannot() -> None:
    app = create(rate="2/hour", trusted_proxies=["10.0.0.0/8"])
    assert ask(app, 3, "10.1.2.3", **{"x-forwarded-for": "198.51.100.7"}) == [200, 200, 429]
    assert ask(app, 1, "10.1.2.3", **{"x-forwarded-for": "198.51.100.8"}) == [200]
    assert ask(app, 1, "10.9.9.9", **{"x-forwarded-for": "203.0.113.1, 198.51.100.7"}) == [429]
    assert ask(app, 3, "192.0.2.1", **{"x-forwarded-for": "198.51.100.9"}) == [200, 200, 429]
    assert ask(app, 1, "192.0.2.1", **{"x-forwarded-for": "198.51.100.10"}) == [429]


def test_one_client_has_all_addresses_of_its_ipv6_network() -> None:
    app = create(rate="2/hour")
    assert ask(app, 2, "2001:db8::1") == [200, 200]
    assert ask(app, 1, "2001:db8::2") == [429]
    assert ask(app, 1, "2001:db8:0:1::1") == [200]


@pytest.mark.parametrize("form", ["::ffff:{}", "::FFFF:{}", "64:ff9b::{}"])
def test_ipv4_in_the_form_of_ipv6_is_one_client_each(form: str) -> None:
    """As proxies write it whose sockets are for both, or that stand behind a translation."""
    app = create(rate="2/hour")
    assert ask(app, 3, form.format("192.0.2.1")) == [200, 200, 429]
    assert ask(app, 2, form.format("192.0.2.2")) == [200, 200]
    assert ask(app, 1, "192.0.2.2") == [429]
    assert ask(app, 1, "64:ff9b:1::192.0.2.3") == [200]


@pytest.mark.parametrize(("rate", "storage"), [("often", "memory://"), ("1/second", "nothing://")])
def test_rate_that_cannot_be_counted_is_refused_at_the_start(rate: str, storage: str) -> None:
    with pytest.raises(StartError):
        create(rate=rate, rate_storage=storage)


def test_everybody_passes_while_the_storage_does_not_answer(caplog: pytest.LogCaptureFixture) -> None:
    app = create(rate="1/hour", rate_storage="redis://127.0.0.1:9")
    assert ask(app, 3) == [200, 200, 200]
    assert sum("rates are not limited" in record.message for record in caplog.records) == 1


def test_storage_that_does_not_answer_is_told_of_at_the_start(caplog: pytest.LogCaptureFixture) -> None:
    """And not only when somebody asks, whom nothing then limits."""

    async def start(app: FastAPI) -> None:
        async with app.router.lifespan_context(app):
            pass

    asyncio.run(start(create(rate="1/hour", rate_storage="redis://:hunter2@127.0.0.1:9")))
    assert sum("rates are not limited" in record.message for record in caplog.records) == 1
    assert "hunter2" not in caplog.text
    asyncio.run(start(create(rate="1/hour")))
    assert len(caplog.records) == 1


def ask_from(app: FastAPI, origin: str, method: str = "GET", **headers: str) -> httpx.Response:
    async def scene() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
            return await client.request(method, "/tasks", headers={"origin": origin, **headers})

    return asyncio.run(scene())


PREFLIGHT = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-api-key"}


def test_pages_of_other_origins_may_ask_nothing_unless_that_is_set() -> None:
    app = create()
    answer = ask_from(app, "https://shop.example")
    assert "access-control-allow-origin" not in answer.headers
    assert ask_from(app, "https://shop.example", "OPTIONS", **PREFLIGHT).status_code == 405


def test_pages_of_an_origin_that_is_set_may_ask_with_their_key_and_others_may_not(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.touch()
    app = create(cors_origins=["https://shop.example"], keys=str(keys))
    allowed = ask_from(app, "https://shop.example", "OPTIONS", **PREFLIGHT)
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
    assert "access-control-allow-credentials" not in allowed.headers
    refused = ask_from(app, "https://shop.example")
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://shop.example"
    assert ask_from(app, "https://evil.example", "OPTIONS", **PREFLIGHT).status_code == 400
    assert "access-control-allow-origin" not in ask_from(app, "https://evil.example").headers


def test_what_browsers_ask_first_is_answered_at_the_edge_like_everything_else() -> None:
    app = create(cors_origins=["https://shop.example"])
    for origin in ("https://shop.example", "https://evil.example"):
        headers = ask_from(app, origin, "OPTIONS", **PREFLIGHT).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert headers["x-request-id"]


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/page", "https://*.example", ""])
def test_what_is_no_origin_is_refused_as_a_setting(origin: str) -> None:
    with pytest.raises(SettingsError, match="SENTOPIC_CORS_ORIGINS"):
        load_settings(cors_origins=[origin])


def test_address_that_is_none_is_counted_as_somebodys(caplog: pytest.LogCaptureFixture) -> None:
    app = create(rate="2/hour", trusted_proxies=["10.0.0.0/8"])
    assert ask(app, 3, "10.1.2.3", **{"x-forwarded-for": "a:b"}) == [200, 200, 429]


def test_proxy_that_is_no_network_is_refused_as_a_setting() -> None:
    with pytest.raises(SettingsError, match="SENTOPIC_TRUSTED_PROXIES"):
        load_settings(trusted_proxies=["garbage"])


def test_storage_that_is_silent_holds_up_nobody_for_long() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        app = create(rate="1/hour", rate_storage=f"redis://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert ask(app, 5) == [200] * 5
        assert time.monotonic() - started < 3 * STORAGE_S


def test_password_of_a_storage_is_not_told() -> None:
    with pytest.raises(StartError) as refused:
        create(rate="1/hour", rate_storage="redis://:hunter2secret@host:notaport")
    assert "hunter2secret" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1
