# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

from django_suites.__main__ import Outcome, read

OUTPUT = """
FAIL: test_fast_delete_all (delete.tests.FastDeleteTests.test_fast_delete_all)
Docstring.
----------------------------------------------------------------------
AssertionError: 202 != 2
FAIL: test_one (delete.tests.DeleteTests.test_one) [database='other'] (number=3)
ERROR: setUpClass (cache.tests.RedisTests)
----------------------------------------------------------------------
Ran 2695 tests in 31.416s

FAILED (failures=2, errors=1, skipped=324)
"""


def test_what_unittest_prints() -> None:
    """How many ran, and which failed, subtests and set-ups of classes included."""
    assert read(OUTPUT) == Outcome(
        2695,
        frozenset(
            {
                "delete.tests.FastDeleteTests.test_fast_delete_all",
                "delete.tests.DeleteTests.test_one",
                "cache.tests.RedisTests",
            }
        ),
    )


def test_a_run_that_did_not_begin() -> None:
    """Nothing ran, which is no success."""
    assert read("Traceback (most recent call last):") == Outcome(0, frozenset())
