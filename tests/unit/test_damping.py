from l3ctl.damping import Damper
from l3ctl.peering import Damping

DAMPING = Damping(flaps=3, within=60, hold=10, max_hold=35)


def flap(damper: Damper, port: str, *times: float) -> list[bool]:
    """Lose link at these times, and have it again at once; what was said of each loss."""
    damper.saw(port, True, times[0])
    said = []
    for time in times:
        said.append(damper.saw(port, False, time))
        assert not damper.saw(port, True, time)
    return said


def test_the_first_losses_are_told_at_once_and_one_too_many_holds_the_port_down() -> None:
    damper = Damper(DAMPING)
    assert flap(damper, "web1", 0, 1, 2) == [False, False, False]
    assert damper.held(2) == {}
    assert flap(damper, "web1", 3) == [True]
    assert damper.held(4) == {"web1": 9}
    assert damper.released(12.9) == set()
    assert damper.released(13) == {"web1"}
    assert damper.released(14) == set()


def test_losses_far_apart_hold_nobody_down() -> None:
    damper = Damper(DAMPING)
    assert not any(flap(damper, "web1", *range(0, 1000, 21)))


def test_every_port_is_counted_alone() -> None:
    damper = Damper(DAMPING)
    assert not any(flap(damper, f"p{number}", 0, 1, 2)[-1] for number in range(5))


def test_going_on_flapping_keeps_it_down_and_starting_again_doubles_the_time_up_to_a_limit() -> None:
    damper = Damper(DAMPING)
    flap(damper, "web1", 0, 1, 2, 3)
    assert flap(damper, "web1", 12) == [True], "held until it was quiet for the whole time"
    assert damper.released(21) == set()
    assert damper.released(22) == {"web1"}
    now = 22.0
    for seconds in (20, 35, 35):
        flap(damper, "web1", now, now, now, now)
        assert damper.held(now) == {"web1": seconds}
        now += seconds
        assert damper.released(now) == {"web1"}


def test_a_long_quiet_time_forgives_everything() -> None:
    damper = Damper(DAMPING)
    flap(damper, "web1", 0, 1, 2, 3)
    damper.released(13)
    assert flap(damper, "web1", 200, 201, 202, 203) == [False, False, False, True]
    assert damper.held(203) == {"web1": 10}


def test_a_port_that_leaves_the_inventory_is_forgotten() -> None:
    damper = Damper(DAMPING)
    flap(damper, "web1", 0, 1, 2, 3)
    damper.forget_all_but({"db1"})
    assert damper.held(3) == {}


def test_without_damping_nothing_is_ever_held_down() -> None:
    assert not any(flap(Damper(None), "web1", *range(100)))
