"""mosec: one worker with dynamic batching behind its Rust front (https://mosecorg.github.io/mosec/)."""

from typing import Any

from mosec import Server, Worker

from benchmarks.peers.shared import MAX_BATCH, MAX_WAIT_MS, Classifier


class Sentiment(Worker):
    def __init__(self) -> None:
        super().__init__()
        self.classifier = Classifier()

    def forward(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return self.classifier.classify([one["text"] for one in data])


if __name__ == "__main__":
    server = Server()
    server.append_worker(Sentiment, num=1, max_batch_size=MAX_BATCH, max_wait_time=MAX_WAIT_MS, route="/predict")
    server.run()
