"""What server and application tell each other in a request's scope, beside what ASGI has."""

from typing import Final

LEAVING: Final = "sentopic.leaving"
"""An `asyncio.Event`: set when the application is to end, so that answers without an end should come to one."""

UNHURRIED: Final = "sentopic.unhurried"
"""To be called where request and answer may take long: from then on, a client is only cut off when nothing moves."""

ABORT: Final = "sentopic.abort"
"""To be called where an answer that has begun cannot come to its end: then nobody takes it for whole."""

ON_DEPARTURE: Final = "sentopic.on_departure"
"""There if the server tells who leaves: what to call, in the event loop, if the client does so before its answer."""

KEY: Final = "sentopic.key"
"""The id of the key that it was sent with, if keys are asked for."""
