"""LitServe: a LitAPI with its own batching (https://lightning.ai/docs/litserve/features/batching)."""

import os
from typing import Any

import litserve

from benchmarks.peers.shared import MAX_BATCH, MAX_WAIT_MS, Classifier


class Sentiment(litserve.LitAPI):
    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        self.classifier = Classifier()

    def decode_request(self, request: dict[str, Any]) -> str:
        return request["text"]

    def batch(self, inputs: list[str]) -> list[str]:
        return inputs

    def predict(self, x: list[str]) -> list[dict[str, Any]]:
        return self.classifier.classify(x)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Sentiment(max_batch_size=MAX_BATCH, batch_timeout=MAX_WAIT_MS / 1e3)
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(os.environ["PORT"]), generate_client_file=False, log_level="warning"
    )
