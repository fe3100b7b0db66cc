"""Excesses are told as bounds that hold, whatever lies between two samples."""

from l3ctl.lab.excess import Excess, Ledger, Report


def test_an_excess_lasts_between_the_samples_that_saw_it_and_those_that_did_not() -> None:
    ledger = Ledger()
    for start, found in ((1.0, set()), (2.0, {"a"}), (3.0, {"a", "b"}), (4.0, {"b"}), (5.0, set[str]())):
        ledger.sample((start, start + 0.5), {"route": found})
    a, b = sorted(ledger.over, key=lambda one: one.prefix)
    assert (a.at_least(), a.at_most()) == (0.5, 3.5), "seen from 2.5 to 3, missing nothing at 1 and after 4.5"
    assert (b.at_least(), b.at_most()) == (0.5, 3.5)
    assert ledger.left() == 0


def test_an_excess_that_one_sample_saw_has_no_lower_bound_and_one_that_goes_on_is_left() -> None:
    ledger = Ledger()
    ledger.sample((1.0, 1.5), {"link": {"a"}})
    ledger.sample((2.0, 2.5), {"policy": {"a"}})
    (over,) = ledger.over
    assert over.missing == "link"
    assert over.at_least() == 0
    assert ledger.left() == 1


def test_a_report_comes_through_json_and_tells_apart_what_met_an_absence() -> None:
    report = Report(3, 0, 0, (0.01, 0.01), (Excess("route", "a", 1, 1, 2, 2), Excess("route", "b", 5, 5, 5, 6)), 0)
    assert Report.from_json(report.to_json()) == report
    lines = report.summary(away=[(4.0, 5.5)])
    assert [line for line in lines if line.startswith("announced without route: 1, ")]
    assert [line for line in lines if line.startswith("announced without route while a program was away: 1, ")]
