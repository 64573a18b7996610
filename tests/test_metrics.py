"""What is counted is told, of all processes together, in Prometheus' own format."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.bundle import Manifest, read_bundle
from app.metrics import Metrics, ModelMetrics
from app.settings import SHIPPED


@pytest.fixture(scope="module")
def manifests() -> list[Manifest]:
    return [read_bundle(SHIPPED / "sentiment" / model).manifest for model in ("gru", "lstm")]


def told(metrics: Metrics) -> dict[tuple[Any, ...], float]:
    """Every sample: (name, its labels' values in the order of their names) -> value."""
    families = text_string_to_metric_families(metrics.write()[0].decode())
    samples: Iterable[Any] = (sample for family in families for sample in family.samples)
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in samples}


def test_page_lists_every_metric_with_its_labels_and_meaning(manifests: list[Manifest]) -> None:
    metrics = Metrics(manifests, "onnx", "1.2.3")
    page = (SHIPPED.parent / "docs" / "observability.md").read_text(encoding="utf-8")
    found = re.findall(r"^\| `(sentopic_\w+)`(?: \(histogram\))? \|(.*)\| (.*) \|$", page, re.MULTILINE)
    rows = {name: (labels.strip(), told) for name, labels, told in found}
    for family in metrics._families:
        labels, told = rows.pop(family.name + "_total" * (family.kind == "counter"))
        assert labels == ", ".join(f"`{label}`" for label in family.labels)
        assert told.startswith(family.help)
    assert not rows


def test_answers_are_told_by_label_and_by_what_they_look_like(manifests: list[Manifest]) -> None:
    metrics = Metrics(manifests, "onnx", "1.2.3")
    gru, lstm = (ModelMetrics(metrics, manifest) for manifest in manifests)
    for confidence, words, known in ((0.95, 80, 80), (0.55, 10, 4), (0.6, 0, 0)):
        gru.add_answer(1, confidence, uncertain=confidence < 0.7, words=words, known=known)
    lstm.add_answer(0, 0.99, uncertain=False, words=3, known=3)
    found = told(metrics)
    label = manifests[0].labels[1].name
    assert found["sentopic_answers_total", label, "gru", "sentiment"] == 3
    assert found["sentopic_uncertain_answers_total", "gru", "sentiment"] == 2
    assert found["sentopic_confidence_bucket", "0.6", "gru", "sentiment"] == 2
    assert found["sentopic_confidence_bucket", "1.0", "gru", "sentiment"] == 3
    assert found["sentopic_confidence_sum", "gru", "sentiment"] == pytest.approx(2.1)
    assert found["sentopic_unknown_words_share_count", "gru", "sentiment"] == 2
    assert found["sentopic_text_words_bucket", "10.0", "gru", "sentiment"] == 2
    assert found["sentopic_text_words_count", "lstm", "sentiment"] == 1


def test_requests_are_told_by_task_route_and_status(manifests: list[Manifest]) -> None:
    metrics = Metrics(manifests, "onnx", "1.2.3")
    for status in (200, 200, 503):
        metrics.begin_request()
        metrics.end_request("sentiment", "single", status, 0.003)
    metrics.begin_request()
    metrics.begin_request()
    metrics.end_request("sentiment", "single", 418, 20)
    found = told(metrics)
    assert found["sentopic_request_seconds_count", "single", "200", "sentiment"] == 2
    assert found["sentopic_request_seconds_bucket", "0.0025", "single", "200", "sentiment"] == 0
    assert found["sentopic_request_seconds_bucket", "0.005", "single", "200", "sentiment"] == 2
    assert found["sentopic_request_seconds_count", "single", "503", "sentiment"] == 1
    assert found["sentopic_request_seconds_bucket", "10.0", "single", "other", "sentiment"] == 0
    assert found["sentopic_request_seconds_bucket", "+Inf", "single", "other", "sentiment"] == 1
    assert found["sentopic_requests_in_progress",] == 1
    assert not any(sample[0].startswith("sentopic_request_seconds") and "500" in sample for sample in found)


def test_version_engine_and_bundles_are_told(manifests: list[Manifest]) -> None:
    text = Metrics(manifests, "onnx", "1.2.3").write()[0].decode()
    assert 'sentopic_info{engine="onnx",version="1.2.3"} 1.0' in text
    assert f'model="gru",recipe="{manifests[0].recipe["name"]}",sha256="{manifests[0].sha256}"' in text


FORKING = """
import os, sys
from app.bundle import read_bundle
from app.metrics import Metrics, ModelMetrics
from app.settings import SHIPPED

manifest = read_bundle(SHIPPED / "sentiment" / "gru").manifest
metrics = Metrics([manifest], "onnx", "1.2.3", rows=3)
for place in (1, 2):
    pid = os.fork()
    if not pid:
        metrics.take_row(place)
        ModelMetrics(metrics, manifest).add_run(16, 0.002)
        ModelMetrics(metrics, manifest).set_queue(5)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
sys.stdout.write(metrics.write()[0].decode())
"""


def test_whoever_is_asked_tells_the_sum_of_all_processes() -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a process that forks has one thread
    ran = subprocess.run(
        [sys.executable, "-c", FORKING], capture_output=True, text=True, check=True, cwd=SHIPPED.parent, env=environment
    )
    assert 'sentopic_engine_windows_sum{model="gru",task="sentiment"} 32.0' in ran.stdout
    assert 'sentopic_queue_windows{model="gru",task="sentiment"} 10.0' in ran.stdout


def test_memory_is_told_of_each_worker_that_is_there(manifests: list[Manifest]) -> None:
    metrics = Metrics(manifests, "onnx", "1.2.3", rows=3)
    metrics.take_row(2)
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    metrics._processes[1] = gone.pid
    found = told(metrics)
    assert found["sentopic_worker_memory_bytes", "0"] == found["sentopic_worker_memory_bytes", "1"] == 0
    assert 20e6 < found["sentopic_worker_memory_bytes", "2"] < 20e9


def test_process_that_takes_anothers_place_goes_on_counting_and_has_an_empty_queue(manifests: list[Manifest]) -> None:
    metrics = Metrics(manifests, "onnx", "1.2.3", rows=2)
    metrics.take_row(1)
    model = ModelMetrics(metrics, manifests[0])
    model.set_queue(7)
    model.add_wait(0.02)
    metrics.begin_request()
    metrics.take_row(1)
    model.add_wait(0.02)
    found = told(metrics)
    assert found["sentopic_queue_windows", "gru", "sentiment"] == 0
    assert found["sentopic_requests_in_progress",] == 0
    assert found["sentopic_queue_seconds_count", "gru", "sentiment"] == 2


def test_what_is_counted_elsewhere_is_told_too(manifests: list[Manifest]) -> None:
    one, other = (Metrics(manifests, "onnx", "1.2.3") for _ in range(2))
    for metrics, requests in ((one, 2), (other, 3)):
        for _ in range(requests):
            metrics.begin_request()
            metrics.end_request("sentiment", "single", 200, 0.1)
    other.begin_request()
    one.hear_others(other.tell_own())
    assert told(one)["sentopic_request_seconds_count", "single", "200", "sentiment"] == 5
    assert told(one)["sentopic_requests_in_progress",] == 1
    assert np.frombuffer(one.tell_own())[one.gauges].sum() == 0, "what was heard is not passed on"
    assert np.frombuffer(other.tell_own())[other.gauges].sum() == 1


def test_numbers_that_mean_the_same_have_one_layout(manifests: list[Manifest]) -> None:
    both, again, one = (Metrics(served, "onnx", "1.2.3") for served in (manifests, manifests, manifests[:1]))
    assert both.layout == again.layout != one.layout
