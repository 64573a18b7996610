"""Settings have one home, one table, and errors of one line."""

import re
from pathlib import Path

import pytest

from app.cli import main
from app.database import Database
from app.errors import JobStoreError, SettingsError, StartError
from app.rates import open_rates
from app.settings import SHIPPED, Settings, load_settings

PAGE = Path(__file__).resolve().parents[1] / "docs" / "settings.md"
LIMITS = PAGE.with_name("limits.md")


def test_table_says_what_the_code_does() -> None:
    rows = re.findall(r"^\| `(\w+)`( \*)? \| (.*?) \| (.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    options = {"host", "port", "workers", "artifacts", "bundle", "engine"}
    expected = []
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if field.default not in ([], "", None) else "none"
        shown = "`artifacts/` beside `app/`" if field.default == SHIPPED else default
        expected.append((name, " *" if name in options else "", shown, field.description))
    assert rows == expected


def test_page_of_limits_says_what_the_code_does() -> None:
    """Every setting that bounds what clients can take stands there, with its default and its reason."""
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \| (\w+) \| .+ \| (.*) \|$", LIMITS.read_text("utf-8"), re.MULTILINE)
    limits = {name for name in Settings.model_fields if name.startswith("max_") or name.endswith("_s")}
    assert {name for name, *_ in rows} == limits - {"max_batch_windows"}  # the engine's, no client's
    for name, default, unit, why in rows:
        field = Settings.model_fields[name]
        assert float(default) == field.default
        assert why == field.description
        assert unit.endswith("s")


def test_every_setting_has_a_default_and_a_sentence() -> None:
    for name, field in Settings.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name
        assert field.description.endswith("."), name


def test_environment_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTOPIC_DEADLINE_S", "2.5")
    monkeypatch.setenv("SENTOPIC_BUNDLE", '["a/b", "c"]')
    settings = load_settings()
    assert (settings.deadline_s, settings.bundle) == (2.5, [Path("a/b"), Path("c")])


def test_file_is_read_and_an_option_comes_before_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("SENTOPIC_PORT=8100\nSENTOPIC_WORKERS=3\nOTHER=1\n")
    settings = load_settings(port=8200)
    assert (settings.port, settings.workers) == (8200, 3)


def test_secret_is_a_file_and_the_environment_comes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sentopic_database").write_text("postgresql+pg8000://sentopic:hidden@db/sentopic\n")
    (tmp_path / "sentopic_rate").write_text("5/hour")
    (tmp_path / "postgres_password").write_text("another's")
    monkeypatch.setenv("SENTOPIC_SECRETS_DIR", str(tmp_path))
    monkeypatch.setenv("SENTOPIC_RATE", "9/hour")
    settings = load_settings()
    assert (settings.database, settings.rate) == ("postgresql+pg8000://sentopic:hidden@db/sentopic", "9/hour")


def test_secrets_are_looked_for_where_containers_have_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sentopic_keys").write_text("keys.jsonl")
    monkeypatch.setattr("app.settings.SECRETS", tmp_path)
    assert load_settings().keys == "keys.jsonl"
    monkeypatch.setattr("app.settings.SECRETS", tmp_path / "none")
    assert load_settings().keys is None


def test_secrets_that_cannot_be_read_are_told_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENTOPIC_SECRETS_DIR", str(tmp_path / "none"))
    assert main(["serve"]) == 2
    secret = tmp_path / "sentopic_rate"
    secret.write_text("5/hour")

    def refuse(self: Path, *_: object, **__: object) -> str:  # root may read whatever mode a file has
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_text", refuse)
    monkeypatch.setenv("SENTOPIC_SECRETS_DIR", str(tmp_path))
    assert main(["serve"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        f"SENTOPIC_SECRETS_DIR: {tmp_path / 'none'} is no directory",
        f"{secret}: permission denied",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "eighty"),
        ("PORT", "70000"),
        ("ENGINE", "cuda"),
        ("DEADLINE_S", "0"),
        ("MAX_WAIT_S", "inf"),
        ("DEADLINE_S", "nan"),
        ("BUNDLE", "a,b"),
        ("WORKERS", "0"),
        ("TRACE_ENDPOINT", "localhost:4318"),
        ("TRACE_SHARE", "2"),
        ("TRUSTED_BUNDLES", '["sha256:00"]'),
        ("TRUSTED_BUNDLES", "0" * 64),
    ],
)
def test_bad_setting_is_named_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    monkeypatch.setenv(f"SENTOPIC_{name}", value)
    with pytest.raises(SettingsError):
        load_settings()
    assert main(["serve"]) == 2
    error = capsys.readouterr().err
    assert name.lower() in error.lower()
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HOST", "", "SENTOPIC_HOST: "),
        ("BUNDLE", "x", "SENTOPIC_BUNDLE: it must be a JSON list"),
        ("TRACE_ENDPOINT", "http://[", "SENTOPIC_TRACE_ENDPOINT: "),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"SENTOPIC_{name}", value)
    with pytest.raises(SettingsError, match=told):
        load_settings()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:"])
def test_database_that_keeps_nothing_is_refused(url: str) -> None:
    with pytest.raises(JobStoreError) as raised:
        Database(url, JobStoreError)
    assert "keeps nothing" in raised.value.reason


def test_rate_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(StartError, match="let something through"):
        open_rates("0/second", "memory://")
