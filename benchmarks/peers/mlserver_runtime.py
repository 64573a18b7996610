"""MLServer: a custom runtime with adaptive batching (https://docs.seldon.ai/mlserver/user-guide/adaptive-batching)."""

import asyncio
import json

from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers.shared import Classifier


class Sentiment(MLModel):
    async def load(self) -> bool:
        self.classifier = Classifier()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        texts = StringCodec.decode_input(payload.inputs[0])
        answers = [json.dumps(found) for found in await asyncio.to_thread(self.classifier.classify, texts)]
        return InferenceResponse(model_name=self.name, outputs=[StringCodec.encode_output("answers", answers)])
