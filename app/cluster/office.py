"""What Ray Data makes on the machines of a cluster: an engine and a clerk, who gets one part after the other."""

import json
import sys
from dataclasses import asdict
from typing import Any

from app.cluster.cargo import unpack
from app.cluster.clerk import Clerk, Errand
from app.cluster.plan import Input, Part
from app.engines.base import SWITCH_INTERVAL_S
from app.errors import FileError, SentopicError


class Office:
    """An engine on some machine of the cluster, and the clerk at it. Ray Data makes it, and makes it anew elsewhere."""

    def __init__(self, cargo: Any, errand: dict[str, str]) -> None:
        """`cargo`: a reference to it. What is wrong with a machine is told with its first part."""
        import ray

        self._fault, self._clerk = "", None
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        try:
            self._clerk = Clerk(Errand(**errand), unpack(ray.get(cargo)))
        except SentopicError as error:
            self._fault = str(error)

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """`batch`: of one row, an object in JSON, as the answer is."""
        (asked,) = batch["part"]
        told = self._answer(**json.loads(str(asked)))
        return {"told": [json.dumps(told)]}

    def _answer(self, part: dict[str, Any], source: dict[str, Any]) -> dict[str, Any]:
        if self._clerk is None:
            return {"fault": self._fault}
        try:
            receipt, bad = self._clerk.answer(Part(**part), Input(**source))
        except FileError as error:
            return {"broken": f"{source['path']}, {error}"}
        except SentopicError as error:
            return {"fault": str(error)}
        return {"receipt": asdict(receipt), "place": part["place"], "bad": bad}
