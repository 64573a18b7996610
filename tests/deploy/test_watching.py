"""Dashboard and alert rules ask for what the service tells, by its own names and labels."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from app.api.errors import STATUSES
from app.bundle import find_bundles, read_bundle
from app.metrics import ENDS, ROUTES, Metrics, ModelMetrics
from app.settings import SHIPPED

DEPLOY = SHIPPED.parent / "deploy"
RULES = DEPLOY / "prometheus" / "rules.yml"
PANELS = json.loads((DEPLOY / "grafana" / "dashboards" / "sentopic.json").read_text())["panels"]
PROMETHEUS_OWN = {"instance", "job"}


def told() -> dict[str, set[str]]:
    """Each series' name, with its labels, of a service in which everything has happened."""
    manifests = [read_bundle(path).manifest for path in find_bundles(SHIPPED)]
    metrics = Metrics(manifests, "onnx", "1.2.3")
    for manifest in manifests:
        model = ModelMetrics(metrics, manifest)
        model.add_wait(0.1)
        model.add_run(3, 0.1)
        model.add_answer(0, 0.5, uncertain=True, words=9, known=3)
        for how in ENDS:
            metrics.end_job(manifest.task, how)
        metrics.add_job_rows(manifest.task, 1)
        metrics.end_request(manifest.task, "single", 200, 0.1)
    families = text_string_to_metric_families(metrics.write()[0].decode())
    found: dict[str, set[str]] = {"up": set()}
    for sample in (sample for family in families for sample in family.samples):
        found.setdefault(sample.name, set()).update(sample.labels)
    return found


def expressions() -> Iterator[tuple[str, str]]:
    """What is asked, and the text that shows its labels."""
    for panel in PANELS:
        for target in panel.get("targets", []):
            yield target["expr"], target["legendFormat"]
    for group in yaml.safe_load(RULES.read_text())["groups"]:
        for rule in group["rules"]:
            yield rule["expr"], " ".join(re.findall(r"\$labels\.(\w+)", rule["annotations"]["summary"]))


def test_every_name_and_label_is_one_that_the_service_tells() -> None:
    series = told()
    asked = 0
    for expression, legend in expressions():
        names = set(re.findall(r"\b(?:sentopic_\w+|up)\b", expression))
        assert names, expression
        assert names <= set(series), expression
        for name, selected in re.findall(r"(sentopic_\w+|up)\{(.*?)\}", expression):
            assert set(re.findall(r"(\w+)(?:=~|!=|=)", selected)) <= series[name] | PROMETHEUS_OWN, expression
        grouped = re.findall(r"\b(?:by|on)\s*\(([\w, ]*)\)", expression)
        labels = {label.strip() for group in grouped for label in group.split(",")} | set(
            re.findall(r"{{(\w+)}}", legend)
        )
        common = PROMETHEUS_OWN.union(*(series[name] for name in names))
        assert labels <= common, expression
        asked += 1
    assert asked > 35


def test_values_that_are_asked_for_can_occur() -> None:
    possible = {str(status) for status in (200, 400, 405, 408, 431, 500, 499, *STATUSES.values())}
    for expression, _ in expressions():
        for label, values in re.findall(r'(status|route)=~?"([^"]*)"', expression):
            known = set(ROUTES) if label == "route" else possible | set(ENDS)
            assert set(values.split("|")) <= known, expression


def test_panels_have_their_place_and_their_own_number() -> None:
    places = [panel["gridPos"] for panel in PANELS]
    cells = [(x, y) for p in places for x in range(p["x"], p["x"] + p["w"]) for y in range(p["y"], p["y"] + p["h"])]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["type"] == "row" or panel["datasource"]["uid"] == "prometheus"


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_prometheus_reads_configuration_and_rules(tmp_path: Path) -> None:
    shutil.copytree(DEPLOY / "prometheus", tmp_path / "prometheus")
    config = tmp_path / "prometheus" / "prometheus.yml"
    (tmp_path / "key").touch()
    config.write_text(config.read_text().replace("/run/secrets/metrics_key", str(tmp_path / "key")))
    ran = subprocess.run(["promtool", "check", "config", config], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "7 rules found" in ran.stdout


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_queries_of_the_documents_know_several_replicas(tmp_path: Path) -> None:
    """A regression: the one for drift matched many series to one, which Prometheus refuses."""
    docs = DEPLOY.parent / "docs"
    drift = re.findall(r"^`([^`]*rate\([^`]*)`\.$", (docs / "observability.md").read_text(), re.MULTILINE)
    (block,) = re.findall(r"```promql\n(.*?)```", (docs / "deployment-kubernetes.md").read_text(), re.DOTALL)
    assert len(drift) == 1
    told = {
        "request_seconds_count": ('route="single",status="200"', 600),
        'request_seconds_count{route="single",status="500"}': ("", 60),
        "request_seconds_bucket": ('route="single",status="200",le="0.1"', 600),
        'request_seconds_bucket{le="+Inf"}': ('route="single",status="200"', 600),
        "answers_total": ('model="gru",label="earn"', 600),
        "uncertain_answers_total": ('model="gru"', 60),
    }
    series = []
    for name, (labels, each) in told.items():
        family, _, more = name.removesuffix("}").partition("{")
        for place, track in enumerate(("stable", "stable", "canary")):
            all_of_them = ",".join(
                filter(None, (labels, more, 'task="topic"', f'sentopic_track="{track}"', f'instance="{place}"'))
            )
            series.append({"series": f"sentopic_{family}{{{all_of_them}}}", "values": f"0+{each}x120"})
    right = {"labels": '{task="topic", model="gru"}', "value": 0.1}
    tracks = [{"labels": "{}", "value": 2}]
    asked = [
        {"expr": drift[0], "eval_time": "2h", "exp_samples": [right]},
        *(
            {"expr": f"count({line.strip()})", "eval_time": "2h", "exp_samples": tracks}
            for line in block.strip().splitlines()
        ),
    ]
    assert len(asked) == 5
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    (tmp_path / "test.yml").write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
    command = ["promtool", "test", "rules", tmp_path / "test.yml"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="needs promtool")
def test_rules_fire_when_they_should_and_not_else() -> None:
    ran = subprocess.run(
        ["promtool", "test", "rules", Path(__file__).with_name("rules_test.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
