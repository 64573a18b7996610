"""BentoML: a batchable API (https://docs.bentoml.com/en/latest/get-started/adaptive-batching.html).

Its largest batch is 256, since it refuses a request that has more texts than that instead of splitting it.
"""

from typing import Any

import bentoml

from benchmarks.peers.shared import Classifier


@bentoml.service(traffic={"timeout": 30})
class Sentiment:
    def __init__(self) -> None:
        self.classifier = Classifier()

    @bentoml.api(batchable=True, max_batch_size=256, max_latency_ms=1_000)
    def predict(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.classifier.classify(texts)
