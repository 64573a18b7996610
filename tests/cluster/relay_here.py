"""A program in the place of `app.cluster.relay`, without Ray: rows' sums, answered backwards, two at a time."""

import json
import os
import sys
import time

import numpy as np

from app.cluster.child import take_pipes
from app.cluster.frames import read_frame, write_frame


def main() -> None:
    source, out = take_pipes()
    request = json.loads(source.readline())
    if request["address"] == "end":
        sys.stderr.write("E gcs_client.cc: Failed to connect to GCS\n")
        os._exit(1)
    if request["address"] == "hang":
        time.sleep(60)
    told = {"fault": "nobody is there"} if request["address"] == "fault" else {"engines": 2}
    out.write(json.dumps(told).encode() + b"\n")
    out.flush()
    held = []
    while (asked := read_frame(source, np.int32)) is not None:
        held.append(asked)
        if len(held) == 2:
            for number, ids in reversed(held):
                if ids[0, 0] == 13:
                    write_frame(out, number, "thirteen")
                elif ids[0, 0] == 66:
                    os._exit(1)
                else:
                    write_frame(out, number, ids.sum(axis=1, keepdims=True).astype(np.float32))
            held.clear()


if __name__ == "__main__":
    main()
