"""Rates from counters: what came since the last look, and what is no rate at all."""

from l3ctl.rates import HISTORY, Rates


def rates_of(rates: Rates) -> dict[tuple[str, str], float]:
    return {(one.port, one.reason): one.now for one in rates.all()}


def test_what_was_there_before_the_first_look_is_no_rate() -> None:
    rates = Rates()
    rates.add({"web1": {"na": 1000}}, 5.0)
    assert rates_of(rates) == {("web1", "na"): 0.0}
    rates.add({"web1": {"na": 1010}, "db1": {"ra": 4}}, 7.0)
    assert rates_of(rates) == {("web1", "na"): 5.0, ("db1", "ra"): 2.0}


def test_a_port_that_is_there_anew_counts_from_nothing_and_one_that_goes_is_gone() -> None:
    rates = Rates()
    rates.add({"web1": {"na": 1000}, "db1": {"na": 1}}, 0.0)
    rates.add({"web1": {"na": 10}}, 1.0)
    assert rates_of(rates) == {("web1", "na"): 10.0}


def test_the_busiest_comes_first_or_who_has_most_or_only_some() -> None:
    rates = Rates()
    rates.add({"calm": {"na": 900}, "busy": {"ra": 0}}, 0.0)
    rates.add({"calm": {"na": 901}, "busy": {"ra": 50}}, 1.0)
    assert [one.port for one in rates.all()] == ["busy", "calm"]
    assert [one.port for one in rates.all(by_total=True)] == ["calm", "busy"]
    assert [one.port for one in rates.all(containing="cal")] == ["calm"]
    assert [one.port for one in rates.all(containing="ra")] == ["busy"]


def test_a_sparkline_ends_with_now_and_is_never_longer_than_is_kept() -> None:
    rates = Rates()
    for second in range(2 * HISTORY):
        rates.add({"web1": {"na": second * second}}, float(second))
    (one,) = rates.all()
    assert len(one.sparkline()) == HISTORY
    assert one.sparkline()[-1] == "█"
    assert sorted(one.sparkline()) == list(one.sparkline())
