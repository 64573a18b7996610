"""What a child and its parent say to each other."""

import json
import os
import time

from app.cluster.child import Child


def test_child_that_is_ready_goes_on_at_its_parents_word_and_ends_with_him() -> None:
    child = Child("tests.cluster.ready_here")
    child.stdin.write(b'{"asked": 1}\n')
    child.stdin.flush()
    assert json.loads(child.stdout.readline()) == {"ready": True}
    time.sleep(0.2)
    os.set_blocking(child.stdout.fileno(), False)
    assert child.stdout.read() is None
    os.set_blocking(child.stdout.fileno(), True)
    child.stdin.write(b"{}\n")
    child.stdin.flush()
    assert [json.loads(line) for line in child.stdout] == [{"asked": 1}, {"end": True}]
    child.close()
    waiting = Child("tests.cluster.ready_here")
    waiting.stdin.write(b"{}\n")
    waiting.stdin.flush()
    waiting.stdout.readline()
    begun = time.monotonic()
    waiting.close()
    assert time.monotonic() - begun < 5
