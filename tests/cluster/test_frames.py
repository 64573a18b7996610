"""Arrays through a pipe come out as they went in, and a pipe that ends ends them."""

from io import BytesIO

import numpy as np

from app.cluster.frames import read_frame, write_frame


def test_arrays_and_faults_come_out_as_they_went_in() -> None:
    pipe = BytesIO()
    ids = np.arange(12, dtype=np.int32).reshape(3, 4)
    write_frame(pipe, 7, ids[:, ::2])
    write_frame(pipe, 2**40, "why: \N{SNOWMAN}")
    write_frame(pipe, 8, np.empty((0, 4), np.int32))
    pipe.seek(0)
    number, found = read_frame(pipe, np.int32) or (0, None)
    assert (number, found.tolist()) == (7, ids[:, ::2].tolist())
    assert read_frame(pipe, np.int32) == (2**40, "why: \N{SNOWMAN}")
    number, found = read_frame(pipe, np.int32) or (0, None)
    assert (number, found.shape) == (8, (0, 4))
    assert read_frame(pipe, np.int32) is None


def test_a_frame_that_is_cut_off_is_none() -> None:
    pipe = BytesIO()
    write_frame(pipe, 7, np.ones((3, 4), np.float32))
    for size in range(len(pipe.getvalue())):
        assert read_frame(BytesIO(pipe.getvalue()[:size]), np.float32) is None
