"""The prediction routes, asked over the network."""

import json

import httpx
import pytest

from app.settings import SHIPPED

GOOD = "A wonderful film with a great cast. I loved every minute of it, and so will you."
BAD = "An awful film. The worst plot, terrible acting, boring from start to end. A waste of time."
EARNINGS = "Shr 39 cts vs 50 cts. Net 1.3 mln vs 1.6 mln. Revs 24.8 mln vs 22.1 mln. Reuter"


def ask(client: httpx.Client, route: str, **body: object) -> httpx.Response:
    return client.post(f"/predict/{route}", json=body)


@pytest.mark.parametrize("model", ["lstm", "gru"])
@pytest.mark.parametrize(("text", "label"), [(GOOD, "positive"), (BAD, "negative")])
def test_sentiment_of_plain_reviews_is_right(client: httpx.Client, model: str, text: str, label: str) -> None:
    answer = ask(client, "sentiment", text=text, model=model).json()
    assert (answer["task"], answer["model"], answer["label"]) == ("sentiment", model, label)
    assert answer["confidence"] > 0.8
    assert len(answer["scores"]) == 2
    assert sum(score["score"] for score in answer["scores"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("model", ["lstm", "gru"])
def test_topic_of_a_plain_newswire_is_right(client: httpx.Client, model: str) -> None:
    answer = ask(client, "topic", text=EARNINGS, model=model, top_k=3).json()
    assert answer["label"] == answer["scores"][0]["label"] == "earn"
    assert answer["confidence"] == answer["scores"][0]["score"] > 0.9
    assert [score["score"] for score in answer["scores"]] == sorted(
        (s["score"] for s in answer["scores"]), reverse=True
    )
    assert len(answer["scores"]) == 3
    assert answer["tokens"] == {"total": 23, "known": 23, "windows": 1}
    assert answer["warnings"] == []
    assert answer["uncertain"] is False


def test_default_model_is_the_one_that_the_tasks_page_names(client: httpx.Client) -> None:
    for task in client.get("/tasks").json()["tasks"]:
        default = next(model["name"] for model in task["models"] if model["default"])
        assert ask(client, task["name"], text=GOOD).json()["model"] == default


def test_top_k_beyond_the_labels_gives_them_all(client: httpx.Client) -> None:
    assert len(ask(client, "topic", text=EARNINGS, top_k=1_000).json()["scores"]) == 46
    assert len(ask(client, "sentiment", text=GOOD, top_k=1).json()["scores"]) == 1


@pytest.mark.parametrize(
    "text", ["qqqqxx zzzzyy", "😀 😀", "你好世界", "!!! ???", "\u200b\u202e", "\x00", "\u00a0x9q9x"]
)
def test_text_without_a_known_word_is_never_answered_with_confidence(client: httpx.Client, text: str) -> None:
    answer = ask(client, "sentiment", text=text).json()
    assert answer["uncertain"] is True
    assert answer["tokens"]["known"] == 0
    assert [warning["code"] for warning in answer["warnings"]] == ["no_known_words"]
    assert answer["confidence"] == pytest.approx(0.5, abs=0.01)


def test_text_of_mostly_unknown_words_is_uncertain(client: httpx.Client) -> None:
    answer = ask(client, "sentiment", text=f"{GOOD} " + "xqzzy vrrkl " * 40).json()
    assert answer["uncertain"] is True
    assert [warning["code"] for warning in answer["warnings"]] == ["mostly_unknown_words"]


def test_long_text_is_read_whole_or_says_that_it_was_cut(client: httpx.Client) -> None:
    whole = ask(client, "sentiment", text=f"{GOOD} " * 50).json()
    assert whole["tokens"] == {"total": 850, "known": 850, "windows": 9}
    assert whole["warnings"] == []
    cut = ask(client, "topic", text=f"{EARNINGS} " * 50).json()
    assert cut["tokens"] == {"total": 99, "known": 99, "windows": 1}
    assert [warning["code"] for warning in cut["warnings"]] == ["text_cut"]


def test_header_says_where_the_time_went(client: httpx.Client) -> None:
    for path, body in (("", {"text": "a good film"}), ("/batch", {"texts": ["a good film"] * 5})):
        header = client.post(f"/predict/sentiment{path}", json=body).headers["server-timing"]
        stages = dict(stage.split(";dur=") for stage in header.split(", "))
        assert list(stages) == ["read", "encode", "queue", "engine", "answer"]
        assert float(stages["engine"]) > 0


def test_answers_have_names_of_their_own(client: httpx.Client) -> None:
    assert ask(client, "topic", text=EARNINGS).json()["id"] != ask(client, "topic", text=EARNINGS).json()["id"]


def test_batch_answers_each_text_in_order_as_if_it_were_alone(client: httpx.Client) -> None:
    texts = [GOOD, BAD, "zzzzyy", f"{GOOD} {BAD} " * 30, "so so"] * 30
    batch = ask(client, "sentiment/batch", texts=texts).json()
    assert len(batch["results"]) == len(texts)
    for text, result in zip(texts[:5], batch["results"][-5:], strict=True):
        alone = ask(client, "sentiment", text=text).json()
        assert result["label"] == alone["label"]
        assert result["confidence"] == pytest.approx(alone["confidence"], abs=2e-5)
        assert (result["tokens"], result["warnings"]) == (alone["tokens"], alone["warnings"])
    assert len({result["id"] for result in batch["results"]}) == len(texts)


def test_bad_item_of_a_batch_fails_alone(client: httpx.Client) -> None:
    response = ask(client, "sentiment/batch", texts=[GOOD, None, 7, "", " \n", {"text": GOOD}, "x" * 100_001, BAD])
    results = response.json()["results"]
    assert response.status_code == 200
    assert [result.get("label") or result["error"]["code"] for result in results] == [
        "positive", *["invalid_request"] * 5, "text_too_long", "negative",
    ]  # fmt: skip


def test_batch_over_the_limit_is_refused(client: httpx.Client) -> None:
    response = ask(client, "topic/batch", texts=["x"] * 1_001)
    assert (response.status_code, response.json()["code"]) == (413, "batch_too_large")


def test_text_at_the_limit_is_answered_and_one_over_it_refused(client: httpx.Client) -> None:
    assert ask(client, "sentiment", text="a " * 50_000).status_code == 200
    response = ask(client, "sentiment", text="a " * 50_000 + "b")
    assert (response.status_code, response.json()["code"]) == (413, "text_too_long")


def test_unknown_task_names_the_tasks(client: httpx.Client) -> None:
    for route in ("weather", "weather/batch"):
        response = ask(client, route, text=GOOD)
        assert (response.status_code, response.json()["code"]) == (404, "unknown_task")
        assert "sentiment, topic" in response.json()["detail"]
    assert client.get("/tasks/weather").json()["code"] == "unknown_task"


def test_unknown_model_names_the_models(client: httpx.Client) -> None:
    response = ask(client, "topic", text=GOOD, model="transformer")
    assert (response.status_code, response.json()["code"]) == (404, "unknown_model")
    assert "gru" in response.json()["detail"]
    assert "transformer" not in response.text


def test_tasks_describe_labels_models_and_limits(client: httpx.Client) -> None:
    tasks = {task["name"]: task for task in client.get("/tasks").json()["tasks"]}
    assert list(tasks) == ["sentiment", "topic"]
    assert [label["name"] for label in tasks["sentiment"]["labels"]] == ["negative", "positive"]
    assert len(tasks["topic"]["labels"]) == 46
    assert {model["name"] for model in tasks["topic"]["models"]} == {"lstm", "gru"}
    for name, task in tasks.items():
        for model in task["models"]:
            assert model["sha256"] == json.loads((SHIPPED / name / model["name"] / "bundle.json").read_text())["sha256"]
    assert tasks["topic"]["limits"]["max_text_chars"] == 100_000
    assert client.get("/tasks/topic").json() == tasks["topic"]


def test_probes_answer(client: httpx.Client) -> None:
    assert client.get("/health/live").json() == {"status": "alive"}
    assert client.get("/health/ready").json() == {"status": "ready"}


def test_explanation_names_the_words_by_their_characters_in_the_text(client: httpx.Client) -> None:
    text = "😀 Terrible, terrible film: zzxqy!"
    answer = ask(client, "sentiment", text=text, explain=True).json()
    words = [(text[word["start"] : word["end"]], word["status"]) for word in answer["explanation"]["words"]]
    assert [word for word, _ in words] == ["😀", "Terrible", "terrible", "film", "zzxqy"]
    assert [status for _, status in words] == ["unknown", "known", "known", "known", "unknown"]
    assert answer["explanation"]["label"] == answer["label"] == "negative"
    assert answer["explanation"]["words"][2]["contribution"] > 0
    assert answer["explanation"]["verdict"][-1] == {"end": text.index(":"), "score": answer["confidence"]}


def test_explanation_stands_only_in_answers_that_were_asked_for_one(client: httpx.Client) -> None:
    assert "explanation" not in ask(client, "topic", text=EARNINGS).json()
    assert (
        ask(client, "topic", text=EARNINGS, explain=False).json().keys()
        == ask(client, "topic", text=EARNINGS).json().keys()
    )
    for wrong in ("true", 1, None):
        assert ask(client, "topic", text=EARNINGS, explain=wrong).status_code == 422


def test_text_of_no_known_word_is_explained_by_that(client: httpx.Client) -> None:
    explanation = ask(client, "topic", text="qqqqxx zzzzyy", explain=True).json()["explanation"]
    assert [word["status"] for word in explanation["words"]] == ["unknown", "unknown"]
    assert explanation["verdict"] == []
