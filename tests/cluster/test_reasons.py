"""What Arrow says of files and stores, as people are told it."""

import pytest

from app.cluster.reasons import explain

HEAD = "When getting information for key 'in' in bucket 'Texts': AWS Error {} during HeadObject operation: {}"


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        (HEAD.format("ACCESS_DENIED", "No response body."), "has it the right credentials?"),
        (HEAD.format("UNKNOWN (HTTP status 403)", "No response body."), "has it the right credentials?"),
        (
            HEAD.format(
                "NETWORK_CONNECTION", "curlCode: 7, Could not connect; Details: a; details: Timeout was reached"
            ),
            "the store cannot be reached: Timeout was reached",
        ),
        (HEAD.format("NETWORK_CONNECTION", "curlCode: 7, what"), "the store cannot be reached: curlCode: 7, what"),
        (HEAD.format("NO_SUCH_BUCKET", "The specified bucket does not exist"), "no such bucket"),
        ("Bucket 'x' not found. To create buckets, enable the allow_bucket_creation option.", "no such bucket"),
        (HEAD.format("SLOW_DOWN", "Reduce your rate."), "the store says slow down: Reduce your rate."),
        (HEAD.format("UNKNOWN (HTTP status 500)", "No response body."), "the store says HTTP status 500"),
        ("Cannot open\n'Texts'. Detail: [errno 2] programmers", "cannot open 'Texts'"),
    ],
)
def test_a_store_is_told_in_a_line_with_names_as_they_are(told: str, wanted: str) -> None:
    assert explain(OSError(told)).endswith(wanted)


def test_a_disk_says_what_is_wrong_with_it() -> None:
    assert explain(OSError(28, "No space left on device", "/a")) == "no space left on device"
