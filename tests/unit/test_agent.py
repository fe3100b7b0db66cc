"""An agent's start goes without the collector of cycles, and what comes after it does not."""

import gc

import pytest

from l3ctl.agent import _uncollected


@pytest.mark.parametrize("fails", [False, True])
def test_the_collector_is_back_however_a_start_ends(fails: bool) -> None:
    seen = []

    @_uncollected()
    def begin() -> None:
        seen.append(gc.isenabled())
        if fails:
            raise RuntimeError

    try:
        if fails:
            with pytest.raises(RuntimeError):
                begin()
        else:
            begin()
        assert seen == [False]
        assert gc.isenabled()
    finally:
        gc.unfreeze()
