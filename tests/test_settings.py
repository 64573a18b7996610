"""Settings have one home, one table, and errors of one line."""

import re
from pathlib import Path

import pytest

from app.cli import main
from app.errors import SettingsError
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
