"""What the benchmarks measure with."""

import multiprocessing

from tests.benchmarks.harness import peak_mib


def test_the_peak_of_a_process_is_its_own_and_not_that_of_who_started_it():
    ballast = bytearray(b"x") * (256 * 2**20)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        peak = pool.apply(peak_mib)
    assert len(ballast) / 2**20 > peak > 5
