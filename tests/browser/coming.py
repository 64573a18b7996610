"""Stands in for a route that the service is about to have: feedback. Remove it when it is there."""

import json
import re
from typing import Any

from playwright.sync_api import Route

ROUTES = {re.compile(r"/openapi\.json$"): "describe", re.compile(r":\d+/feedback$"): "take_feedback"}


class Coming:
    """Answers for browsers; `feedback` is what was said. `away`: the service is as it is."""

    def __init__(self) -> None:
        self.away = False
        self.feedback = list[dict[str, Any]]()

    def describe(self, route: Route) -> None:
        answer = route.fetch()
        if self.away or not answer.ok:
            route.fulfill(response=answer)
            return
        document = answer.json()
        document["paths"] |= {"/feedback": {"post": {}}}
        route.fulfill(json=document)

    def take_feedback(self, route: Route) -> None:
        self.feedback.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=202, json={})
