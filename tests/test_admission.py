"""What requests take together is bounded, and all of it comes back."""

import pytest

from app.admission import Admission
from app.errors import OverloadedError


def fail_with_a_permit(admission: Admission) -> None:
    with admission.permit(retry_after_s=7):
        assert admission.permits == 0
        with pytest.raises(OverloadedError) as refused, admission.permit(retry_after_s=7):
            pass
        assert refused.value.retry_after_s == 7
        raise KeyError


def test_permits_come_back_whatever_becomes_of_the_request() -> None:
    admission = Admission(permits=1, room_bytes=0)
    with pytest.raises(KeyError):
        fail_with_a_permit(admission)
    assert admission.permits == 1


def test_room_for_bodies_is_shared_to_the_last_byte() -> None:
    admission = Admission(permits=1, room_bytes=100)
    admission.hold(60)
    admission.hold(40)
    with pytest.raises(OverloadedError):
        admission.hold(1)
    admission.release(60)
    admission.hold(60)
    admission.release(100)
    assert admission.room_bytes == 100
