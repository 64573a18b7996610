"""FastAPI with the model in a `tf.function`: what a reader who has met `model.predict`'s cost would write next."""

import keras
import numpy as np
import tensorflow as tf
from fastapi import FastAPI
from pydantic import BaseModel

from benchmarks.peers.shared import MODEL, answer, load_encoder

app = FastAPI()
model = keras.saving.load_model(MODEL / "model.keras", compile=False)
encoder = load_encoder()


@tf.function(input_signature=[tf.TensorSpec((None, 100), tf.int32)])
def run(ids: tf.Tensor) -> tf.Tensor:
    return model(ids, training=False)


class Request(BaseModel):
    text: str


class Requests(BaseModel):
    texts: list[str]


@app.post("/predict")
def predict(request: Request) -> dict[str, object]:
    return answer(float(run(tf.constant(encoder.encode(request.text).windows)).numpy()[0, 0]))


@app.post("/batch")
def predict_batch(request: Requests) -> list[dict[str, object]]:
    ids = np.concatenate([encoder.encode(text).windows for text in request.texts])
    return [answer(float(p)) for p in run(tf.constant(ids)).numpy()[:, 0]]
