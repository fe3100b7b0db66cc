"""Excesses are told as bounds that hold, whatever lies between two samples."""

from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network

from l3ctl.lab.excess import Excess, Ledger, Report
from l3ctl.lab.observer import judged_rightly
from l3ctl.model import Host, Mode, PortPolicy


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


def test_a_policy_holds_for_the_prefixes_whose_host_it_names_rightly_whatever_it_says_of_others() -> None:
    six, four = IPv6Network("2001:db8:11::/64"), IPv4Network("198.51.100.11/32")
    web = Host("52:54:00:00:00:01", IPv6Address("fe80::1"), (six,), (four[0],))
    db = Host("52:54:00:00:00:02", IPv6Address("fe80::2"), (IPv6Network("2001:db8:12::/64"),))
    policy = PortPolicy("p", "p0", None, "02:00:00:00:00:01", (web, db), (), Mode.ENFORCE, False, False, False, 100, 200)
    assert judged_rightly(policy, policy) == {str(six), str(four), "2001:db8:12::/64"}
    assert judged_rightly(policy, replace(policy, hosts=(replace(web, ipv4=()),))) == {str(six)}
    assert judged_rightly(policy, replace(policy, hosts=(replace(web, lladdr=db.lladdr),))) == set()
    assert judged_rightly(policy, replace(policy, mode=Mode.AUDIT)) == set()
    assert judged_rightly(policy, None) == judged_rightly(None, policy) == set()
