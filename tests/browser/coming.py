"""Stands in for a route that the service is about to have: feedback. Remove it when it is there."""

import json
from typing import Any

from playwright.sync_api import BrowserContext, Route


class Coming:
    """Answers for browsers; `feedback` is what was said. `away`: the service is as if it had no such route."""

    def __init__(self) -> None:
        self.away, self.feedback = False, list[dict[str, Any]]()

    def install(self, context: BrowserContext) -> None:
        context.route("**/openapi.json", self._describe)
        context.route("**/feedback", self._take_feedback)

    def _describe(self, route: Route) -> None:
        answer = route.fetch()
        if self.away or not answer.ok:
            route.fulfill(response=answer)
            return
        document = answer.json()
        document["paths"] |= {"/feedback": {"post": {}}}
        route.fulfill(json=document)

    def _take_feedback(self, route: Route) -> None:
        self.feedback.append(json.loads(route.request.post_data or "{}"))
        route.fulfill(status=202, json={})
