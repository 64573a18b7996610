"""Ray Serve: `serve.batch` in an ingress deployment (https://docs.ray.io/en/latest/serve/advanced-guides/dyn-req-batch.html)."""

import os
import signal
from typing import Any

from ray import serve
from starlette.requests import Request

from benchmarks.peers.shared import MAX_BATCH, MAX_WAIT_MS, Classifier


@serve.deployment(max_ongoing_requests=512)
class Sentiment:
    def __init__(self) -> None:
        self.classifier = Classifier()

    @serve.batch(max_batch_size=MAX_BATCH, batch_wait_timeout_s=MAX_WAIT_MS / 1e3)
    async def classify(self, texts: list[str]) -> list[dict[str, Any]]:
        return self.classifier.classify(texts)

    async def __call__(self, request: Request) -> Any:
        asked = await request.json()
        if "texts" in asked:
            return self.classifier.classify(asked["texts"])
        return await self.classify(asked["text"])


if __name__ == "__main__":
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": int(os.environ["PORT"])})
    serve.run(Sentiment.bind(), route_prefix="/predict")
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    serve.shutdown()
    ray.shutdown()
