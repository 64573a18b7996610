"""Stands in for routes that the service is about to have: explanations, feedback. Remove it when they are there.

What it answers comes from the running service, asked about each text without one word, and about each beginning.
"""

import json
import math
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import httpx
from playwright.sync_api import BrowserContext, Route

from app.settings import SHIPPED
from app.text import SEPARATORS

WORD = re.compile(f"[^{re.escape(SEPARATORS)}]+")
MOST_WORDS = 300
MOST_CHARS = 400_000


class Coming:
    """Answers for browsers; `feedback` is what was said. `away`: the service is as if it had none of these routes."""

    def __init__(self, base: str) -> None:
        self.base, self.away, self.feedback = base, False, list[dict[str, Any]]()

    def install(self, context: BrowserContext) -> None:
        context.route("**/openapi.json", self._describe)
        context.route("**/predict/*", self._predict)
        context.route("**/feedback", self._take_feedback)

    def _describe(self, route: Route) -> None:
        answer = route.fetch()
        if self.away or not answer.ok:
            route.fulfill(response=answer)
            return
        document = answer.json()
        for path, item in document["paths"].items():
            if re.fullmatch(r"/predict/[^/]+", path):
                schema = item["post"]["requestBody"]["content"]["application/json"]["schema"]
                schema["properties"]["explain"] = {"type": "boolean", "default": False}
        document["paths"] |= {"/feedback": {"post": {}}}
        route.fulfill(json=document)

    def _predict(self, route: Route) -> None:
        asked = json.loads(route.request.post_data or "{}")
        wanted = asked.pop("explain", False)
        answer = route.fetch(post_data=asked)
        if not (wanted and answer.ok):
            route.fulfill(response=answer)
            return
        task = urlsplit(route.request.url).path.removeprefix("/predict/")
        content = answer.json()
        content["explanation"] = explain(self.base, task, content, asked["text"])
        route.fulfill(json=content)

    def _take_feedback(self, route: Route) -> None:
        self.feedback.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=202, json={})


def explain(base: str, task: str, answer: dict[str, Any], text: str) -> dict[str, Any]:
    model, label = answer["model"], answer["label"]
    spans = [found.span() for found in WORD.finditer(text)]
    words = [read(task, model, text, start, end) for start, end in spans]
    for word in [word for word in words if word["status"] in {"known", "rare"}][limit(task, model) :]:
        word["status"] = "unused"
    most = min(MOST_WORDS, MOST_CHARS // (len(text) + 1))
    used = [word for word in words if word["status"] in {"known", "rare"}][:most]
    without = score(base, task, model, label, [text[: word["start"]] + text[word["end"] :] for word in used])
    for word, share in zip(used, without, strict=True):
        word |= {"without": share, "contribution": odds(answer["confidence"]) - odds(share)}
    ends = [word["end"] for word in words if word["status"] != "unused"]
    ends = ends[:: math.ceil(len(ends) / most) or 1]
    verdict = score(base, task, model, label, [text[:end] for end in ends])
    points = [{"end": end, "score": share} for end, share in zip(ends, verdict, strict=True)]
    return {"label": label, "words": words, "verdict": points}


def read(task: str, model: str, text: str, start: int, end: int) -> dict[str, Any]:
    word = text[start:end].lower()
    rank = ranks(task, model).get(word)
    status = "unknown" if rank is None else "known" if rank + 3 < 20_000 else "rare"
    return {"word": word, "start": start, "end": end, "status": status, "contribution": None, "without": None}


@cache
def ranks(task: str, model: str) -> dict[str, int]:
    lines = (SHIPPED / task / model / "words.txt").read_text("utf-8", "surrogatepass").split("\n")
    return {word: rank for rank, word in enumerate(lines, start=1)}


def limit(task: str, model: str) -> int:
    manifest = json.loads((SHIPPED / task / model / "bundle.json").read_text("utf-8"))
    return 99 if manifest["text"]["windows"] == "first" else 10**9


@cache
def shares(task: str, model: str) -> dict[str, float]:
    manifest = json.loads((SHIPPED / task / model / "bundle.json").read_text("utf-8"))
    return {label["name"]: label["share"] for label in manifest["labels"]}


def score(base: str, task: str, model: str, label: str, texts: list[str]) -> list[float]:
    """The label's score for each text."""
    blank = [not text.strip() for text in texts]
    asked = [text for text, empty in zip(texts, blank, strict=True) if not empty]
    if not asked:
        return [shares(task, model)[label]] * len(texts)
    body = {"texts": asked, "model": model, "top_k": 100}
    results = iter(httpx.post(f"{base}/predict/{task}/batch", json=body, timeout=30).json()["results"])
    given = shares(task, model)[label]
    return [
        given if empty else next(s["score"] for s in next(results)["scores"] if s["label"] == label) for empty in blank
    ]


def odds(share: float) -> float:
    bounded = min(max(share, 1e-6), 1 - 1e-6)
    return math.log(bounded / (1 - bounded))
