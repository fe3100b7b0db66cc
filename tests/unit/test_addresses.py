"""Addresses are read by the C library, which is quick, and to the letter as Python's ipaddress would, which is the reference."""

from ipaddress import IPv4Address, IPv6Address

from hypothesis import example, given, settings
from hypothesis import strategies as st

from l3ctl.reading.fields import _ipv4, _ipv6

WRITTEN = st.one_of(
    st.text(alphabet="0123456789abcdefABCDEF:./%xg \0é", max_size=45),
    st.builds(
        lambda address, at, more: str(address)[: at % 40] + more + str(address)[at % 40 :],
        st.ip_addresses(),
        st.integers(0, 39),
        st.text(alphabet="0123456789abcdef:.% ", max_size=2),
    ),
)


@settings(max_examples=2000)
@given(WRITTEN)
@example("010.0.0.1")
@example("fe80::1%eth0")
@example("::ffff:192.0.2.1")
@example("1::2:3:4:5:6:7:8")
@example("192.0.2.1\0")
@example("١.2.3.4")
def test_what_is_an_address_and_which(text: str) -> None:
    for own, reference in ((_ipv4, IPv4Address), (_ipv6, IPv6Address)):
        try:
            expected = reference(text) if "%" not in text else None
        except ValueError:
            expected = None
        assert own(text) == expected
