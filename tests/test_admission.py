"""What requests take together is bounded, and all of it comes back."""

import asyncio

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


def test_room_for_bodies_is_shared_to_the_last_byte_and_then_taken_from_whoever_sends_for_longest() -> None:
    async def scene() -> None:
        admission = Admission(permits=1, room_bytes=100)

        async def send_slowly() -> str:
            with admission.incoming() as room:
                room.hold(60)
                try:
                    await asyncio.sleep(60)
                except asyncio.CancelledError:
                    assert room.taken
                    room.handler.uncancel()
                    return "refused"
            return "sent"

        slow = asyncio.create_task(send_slowly())
        await asyncio.sleep(0)
        with admission.incoming() as room:
            room.hold(40)
            assert admission.room_bytes == 0
            room.hold(1)
            assert await slow == "refused"
            room.hold(59)
            with pytest.raises(OverloadedError):
                room.hold(1)
        assert admission.room_bytes == 100

    asyncio.run(scene())
