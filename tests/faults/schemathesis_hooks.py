"""What schemathesis does not know by itself: how bodies that are files are sent. Named to it by SCHEMATHESIS_HOOKS."""

import schemathesis

FILES = ("application/x-ndjson", "application/jsonl", "application/vnd.apache.parquet", "text/csv", "text/plain")


@schemathesis.serializer(*FILES)
def send(_: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
