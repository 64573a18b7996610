"""FastAPI with `model.predict` in the route: what a reader of the tutorials would write."""

import keras
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.shared import MODEL, answer, load_encoder

app = FastAPI()
model = keras.saving.load_model(MODEL / "model.keras", compile=False)
encoder = load_encoder()


class Request(BaseModel):
    text: str


class Requests(BaseModel):
    texts: list[str]


@app.post("/predict")
def predict(request: Request) -> dict[str, object]:
    return answer(float(model.predict(encoder.encode(request.text).windows, verbose=0)[0, 0]))


@app.post("/batch")
def predict_batch(request: Requests) -> list[dict[str, object]]:
    ids = np.concatenate([encoder.encode(text).windows for text in request.texts])
    return [answer(float(p)) for p in model.predict(ids, verbose=0)[:, 0]]
