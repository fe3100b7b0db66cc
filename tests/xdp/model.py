"""The filter's contract as a pure function of a frame and the port's policy: a second opinion, made from the contract's text alone.

Nothing here comes from bpf/ or from l3ctl/xdp: no struct, no constant, no reason's number. Two readings of one text that agree on millions
of frames are evidence; a shared constant would only agree with itself. Left out are the budgets (`rate-limit`), no function of the
frame; whether the agent has a probe out is told beside it.

Within a table the earlier row wins, and layer 2 comes before the rest, so that every frame has exactly one reason.
"""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from l3ctl.lladdr import parse_lladdr
from l3ctl.model import Host, Mode, PortPolicy

_TAGS = (0x8100, 0x88A8)
_INNER_TAGS = (0x8100, 0x88A8, 0x9100)
_IPV4, _IPV6, _ARP, _RARP = 0x0800, 0x86DD, 0x0806, 0x8035
_LOWEST_ETHERTYPE = 0x0600

_HOP_BY_HOP, _FRAGMENT, _AH, _ICMPV6 = 0, 44, 51, 58
_WALKED = frozenset((_HOP_BY_HOP, 43, _FRAGMENT, _AH, 60, 135, 139, 140))
_UNWALKABLE = frozenset((253, 254))
_MOST_EXTENSIONS = 4

_RS, _RA, _NS, _NA, _REDIRECT, _CERTIFICATION_ANSWER = 133, 134, 135, 136, 137, 149
_ND = {_RS: 8, _RA: 16, _NS: 24, _NA: 24, _REDIRECT: 40, 141: 8, 142: 8, 148: 8, _CERTIFICATION_ANSWER: 12}
"""each ND message and its shortest length"""
_MULTICAST_QUERIES = frozenset((130, 151, 152, 153))
_MULTICAST_REPORTS = frozenset((131, 132, 143))
_MOST_OPTION_UNITS = 182
_SOURCE_LLADDR, _TARGET_LLADDR = 1, 2

_UNSPECIFIED = bytes(16)
_ALL_NODES = IPv6Address("ff02::1").packed
_SOLICITED_NODE = IPv6Address("ff02::1:ff00:0").packed[:13]
_V4_MAPPED = 0xFFFF
"""what is above the lowest 32 bits of ::ffff:a.b.c.d"""


class Judgement(NamedTuple):
    """What becomes of a frame. `reason` is empty for ordinary traffic; `answer` is the frame sent back."""

    verdict: str
    reason: str
    answer: bytes | None = None


_PASS = Judgement("pass", "")


class Found(NamedTuple):
    """Where the chain of IPv6 headers leads: to ND (`nd` or `nd-fragment`, with where it begins), to a reason to drop, or to nothing."""

    reason: str
    at: int = 0


def _number(frame: bytes, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]


def sums_up(source: bytes, destination: bytes, message: bytes) -> bool:
    """Whether an ICMPv6 message's checksum holds (RFC 4443, 2.3): with itself summed in, the one's complement sum is all ones.

    As 2**16 leaves 1 when divided by 0xffff, so does every 16-bit word's place in a long number: the remainder is the folded sum.
    """
    pseudo = source + destination + len(message).to_bytes(4, "big") + b"\0\0\0\x3a"
    return int.from_bytes(pseudo + message + bytes(len(message) % 2), "big") % 0xFFFF == 0


def find_nd(frame: bytes, at: int) -> Found:
    """Follow the headers of the IPv6 packet at `at` (RFC 8200, 7112).

    The frame's own length decides, but in a first fragment the payload length too: what stands behind that is padding, and the next
    fragment brings what the reassembled packet has in its place.
    """
    end, here, protocol, fragmented = len(frame), at + 40, frame[at + 6], False
    headers = 0
    while protocol in _WALKED:
        headers += 1
        if headers > _MOST_EXTENSIONS or here + 8 > end:
            return Found("ext-header")
        size = (frame[here + 1] + 1) * 8
        if protocol == _FRAGMENT:
            if _number(frame, here + 2) >> 3:
                return Found("")  # a later fragment comes to nothing without its first
            fragmented, size = True, 8
            end = min(end, at + 40 + _number(frame, at + 4))
        elif protocol == _AH:
            size = (frame[here + 1] + 2) * 4
        protocol = frame[here]
        here += size
        if here > end:
            return Found("ext-header")
    if protocol in _UNWALKABLE:
        return Found("ext-header")
    if protocol != _ICMPV6:
        return Found("")
    if here >= end:
        return Found("ext-header" if fragmented else "nd-malformed")
    if frame[here] in _MULTICAST_QUERIES:
        return Found("mld-query")
    if frame[here] in _ND:
        return Found("nd-fragment" if fragmented else "nd", here)
    return Found("")


def _truncated(frame: bytes, at: int, ethertype: int) -> bool:
    """Whether a frame ends within the header that its EtherType, read before `at`, claims. ARP has its own word for that."""
    room = len(frame) - at
    if ethertype == _IPV4:
        return room < 20 or room < (frame[at] & 15) * 4
    return ethertype == _IPV6 and room < 40


def _unreadable(frame: bytes, at: int, ethertype: int) -> str:
    """Why layer 2 does not lead to a packet: a reason, or empty."""
    if at == 18 and ethertype in _INNER_TAGS:
        return "truncated" if len(frame) < at + 4 else "vlan-stacked"
    if ethertype in _TAGS or _truncated(frame, at, ethertype):
        return "truncated"
    return "llc" if ethertype < _LOWEST_ETHERTYPE else ""


def _layer2(frame: bytes, at: int, ethertype: int) -> str:
    """Why a frame is dropped for its Ethernet header, or for what that promises and the packet does not hold: a reason, or empty."""
    reason = _unreadable(frame, at, ethertype)
    if reason:
        return reason
    if frame[6] & 1 or frame[6:12] == bytes(6):
        return "bad-source-mac"
    version = {_IPV4: 4, _IPV6: 6}.get(ethertype)
    if version is not None and frame[at] >> 4 != version:
        return "version-mismatch"
    return "rarp" if ethertype == _RARP else ""


def _malformed(frame: bytes, at: int, start: int, end: int) -> bool:
    """Whether the ND message from `start` to `end`, in the IPv6 packet at `at`, is none by RFC 4861 (6.1, 7.1, 8.1)."""
    kind, length = frame[start], end - start
    if frame[at + 7] != 255 or end > len(frame) or length < _ND[kind] or frame[start + 1] != 0:
        return True
    units, left_over = divmod(length - _ND[kind], 8)
    if left_over or units > _MOST_OPTION_UNITS:
        return True
    if not sums_up(frame[at + 8 : at + 24], frame[at + 24 : at + 40], frame[start:end]):
        return True
    if kind == _CERTIFICATION_ANSWER:
        return False
    here = start + _ND[kind]
    while here < end:
        size = frame[here + 1] * 8
        if not size or here + size > end:
            return True
        here += size
    return False


def _source_options(frame: bytes, start: int, end: int) -> Iterable[bytes]:
    """Every source link-layer option of a well-formed solicitation, whole."""
    here = start + _ND[frame[start]]
    while here < end:
        size = frame[here + 1] * 8
        if frame[here] == _SOURCE_LLADDR:
            yield frame[here : here + size]
        here += size


class _Billed:
    """What one host may claim."""

    def __init__(self, host: Host) -> None:
        self.link_local = host.link_local.packed
        self.ipv4 = {address.packed for address in host.ipv4}
        self._prefixes = [(int(prefix.netmask), int(prefix.network_address)) for prefix in host.ipv6]

    def has(self, source: bytes) -> bool:
        """Whether an IPv6 address is in a billed prefix. A v4-mapped one is no IPv6 source at all (RFC 4291, 2.5.5.2)."""
        number = int.from_bytes(source, "big")
        return number >> 32 != _V4_MAPPED and any(number & mask == network for mask, network in self._prefixes)


class _Port:
    """One guarded port."""

    def __init__(self, policy: PortPolicy, asked: bool) -> None:
        self.name = policy.port
        self._asked = asked and policy.probed
        self._router = parse_lladdr(policy.router_lladdr)
        self._hosts = {parse_lladdr(host.lladdr): _Billed(host) for host in policy.hosts}
        self._gateways4 = {gateway.packed for gateway in policy.gateways if isinstance(gateway, IPv4Address)}
        self._gateways6 = {
            gateway.packed for gateway in policy.gateways if isinstance(gateway, IPv6Address) and int(gateway) >> 32 != _V4_MAPPED
        }
        self._audit = policy.mode is Mode.AUDIT
        self._source_guard = policy.source_guard
        self._pass_rs = policy.router_solicitations_pass
        self._qinq = policy.qinq
        self._proxied = [(int(prefix.netmask), int(prefix.network_address)) for prefix in policy.proxy_arp]

    def judge(self, frame: bytes, at: int, ethertype: int) -> Judgement:
        """Judge a frame of this port whose packet begins at `at`, and which no priority tag is stacked on."""
        judgement = self._judge(frame, at, ethertype)
        return Judgement("pass", judgement.reason) if self._audit and judgement.reason else judgement

    def _judge(self, frame: bytes, at: int, ethertype: int) -> Judgement:
        if self._qinq and at == 18 and ethertype in _INNER_TAGS and len(frame) >= 22:  # of two tags, and of no more
            at, ethertype = 22, _number(frame, 20)
            if ethertype in _INNER_TAGS:
                return Judgement("drop", "truncated" if len(frame) < 26 else "vlan-stacked")
        reason = _layer2(frame, at, ethertype)
        if reason:
            return Judgement("drop", reason)
        if ethertype == _ARP:
            return self._arp(frame, at)
        if ethertype == _IPV6:
            found = find_nd(frame, at)
            if found.reason == "nd":
                return self._nd(frame, at, found.at)
            if found.reason:
                return Judgement("drop", found.reason)
        if self._source_guard and not self._may_send(frame, at, ethertype):
            return Judgement("drop", "source-spoof")
        return _PASS

    def _arp(self, frame: bytes, at: int) -> Judgement:
        packet, lladdr = frame[at : at + 28], frame[6:12]
        if len(packet) < 28 or packet[:6] != b"\0\x01\x08\0\x06\x04":
            return Judgement("drop", "arp-malformed")
        operation, sender_lladdr, sender, target = _number(packet, 6), packet[8:14], packet[14:18], packet[24:28]
        billed = self._hosts.get(lladdr)
        if billed is None:
            return Judgement("drop", "arp-mac-spoof")
        if sender_lladdr != lladdr:
            return Judgement("drop", "arp-mac-mismatch")
        if operation == 2 and self._asked and target in self._gateways4 and sender in billed.ipv4:
            return Judgement("drop", "probe-answer")
        if operation != 1:
            return Judgement("drop", "arp-reply" if operation == 2 else "arp-operation")
        probe = sender == bytes(4)
        if not probe and sender not in billed.ipv4:
            return Judgement("drop", "arp-ip-spoof")
        if not probe and sender == target:
            return Judgement("drop", "arp-gratuitous")
        if target in self._gateways4 or (not probe and self._answers_for(target) and target not in billed.ipv4):
            reply = packet[:6] + b"\0\x02" + self._router + target + sender_lladdr + sender
            answer = lladdr + self._router + frame[12:at] + reply + frame[at + 28 :]
            return Judgement("answer", "arp-answer", answer[: at - 14 + 60])
        return Judgement("drop", "arp-probe" if probe else "arp-target")

    def _answers_for(self, target: bytes) -> bool:
        number = int.from_bytes(target, "big")
        return any(number & mask == network for mask, network in self._proxied)

    def _nd(self, frame: bytes, at: int, start: int) -> Judgement:
        end = at + 40 + _number(frame, at + 4)
        if _malformed(frame, at, start, end):
            return Judgement("drop", "nd-malformed")
        lladdr, kind = frame[6:12], frame[start]
        billed = self._hosts.get(lladdr)
        if billed is None:
            return Judgement("drop", "nd-mac-spoof")
        if kind == _NA and self._asked and self._answers_probe(frame, at, start, billed):
            return Judgement("drop", "probe-answer")
        if kind not in (_NS, _RS):
            return Judgement("drop", {_NA: "na-unsolicited", _RA: "ra-rogue", _REDIRECT: "redirect"}.get(kind, "nd-type"))
        source, destination, target = frame[at + 8 : at + 24], frame[at + 24 : at + 40], frame[start + 8 : start + 24]
        unspecified = source == _UNSPECIFIED
        if not unspecified and source != billed.link_local and not (kind == _NS and billed.has(source)):
            return Judgement("drop", "nd-ip-spoof")
        options = list(_source_options(frame, start, end))
        if len(options) > 1 or (options and unspecified) or any(option != b"\x01\x01" + lladdr for option in options):
            return Judgement("drop", "nd-lladdr-mismatch")
        if kind == _RS:
            return _PASS if self._pass_rs else Judgement("drop", "rs")
        if destination != _SOLICITED_NODE + target[13:] and (unspecified or destination != target):
            return Judgement("drop", "nd-destination")
        if target in self._gateways6:
            return Judgement("answer", "ns-answer", self._advertisement(frame, at, source, target))
        return Judgement("drop", "ns-dad" if unspecified else "ns-target")

    def _answers_probe(self, frame: bytes, at: int, start: int, billed: _Billed) -> bool:
        """Solicited, from an address of the host and for one, to the gateway that asked (RFC 4861, 7.2.4)."""
        source, destination, target = frame[at + 8 : at + 24], frame[at + 24 : at + 40], frame[start + 8 : start + 24]
        own = all(address == billed.link_local or billed.has(address) for address in (source, target))
        return bool(frame[start + 4] & 0x40) and destination in self._gateways6 and own

    def _advertisement(self, frame: bytes, at: int, source: bytes, target: bytes) -> bytes:
        """The router's answer to a solicitation (RFC 4861, 7.2.4): to all nodes where nobody in particular asked."""
        unspecified = source == _UNSPECIFIED
        destination = _ALL_NODES if unspecified else source
        to = b"\x33\x33" + destination[12:] if unspecified else frame[6:12]  # RFC 2464, 7
        body = (b"\xa0" if unspecified else b"\xe0") + bytes(3) + target + bytes((_TARGET_LLADDR, 1)) + self._router
        pseudo = target + destination + b"\0\0\0\x20\0\0\0\x3a"
        total = int.from_bytes(pseudo + b"\x88\0\0\0" + body, "big") % 0xFFFF
        message = b"\x88\0" + (0xFFFF - total if total else 0).to_bytes(2, "big") + body
        return to + self._router + frame[12:at] + b"\x60\0\0\0\0\x20\x3a\xff" + target + destination + message

    def _may_send(self, frame: bytes, at: int, ethertype: int) -> bool:
        """The source guard's question (RFC 2827, 7039) about a frame that passes otherwise."""
        billed = self._hosts.get(frame[6:12])
        if billed is None:
            return False
        if ethertype == _IPV4:
            source = frame[at + 12 : at + 16]
            return source in billed.ipv4 or (source == bytes(4) and _asks_for_an_address(frame, at))
        if ethertype == _IPV6:
            source = frame[at + 8 : at + 24]
            if source == _UNSPECIFIED:
                return _reports_a_group(frame, at)
            return source == billed.link_local or billed.has(source)
        return True


def _asks_for_an_address(frame: bytes, at: int) -> bool:
    """DHCP from a client to a server: from port 68 to 67, in a first or only fragment, no IP options."""
    if frame[at] & 15 != 5 or frame[at + 9] != 17 or _number(frame, at + 6) & 0x1FFF:
        return False
    return frame[at + 20 : at + 24] == b"\0\x44\0\x43"


def _reports_a_group(frame: bytes, at: int) -> bool:
    """An MLD report or done, which a host sends before it has an address (RFC 3590), behind the router alert alone (RFC 3810, 5)."""
    if frame[at + 6] != _HOP_BY_HOP or len(frame) < at + 49:
        return False
    return frame[at + 40 : at + 42] == bytes((_ICMPV6, 0)) and frame[at + 48] in _MULTICAST_REPORTS


class Model:
    """The filter of one netdev, with the ports it guards. `asked`: of those that are probed, every one has a probe out."""

    def __init__(self, *policies: PortPolicy, asked: bool = False) -> None:
        enforced = [policy for policy in policies if policy.mode is Mode.ENFORCE]
        self._ports = {policy.vlan_id: _Port(policy, asked) for policy in policies}
        self._enforced = bool(enforced)
        self._guards = any(policy.source_guard for policy in policies)
        self._guards_enforced = any(policy.source_guard for policy in enforced)
        self._drops_unknown = any(policy.unknown_vlan_drop for policy in policies)
        self._hides_tags = any(policy.tags_may_be_hidden for policy in policies)

    def judge(self, frame: bytes) -> Judgement:
        """Judge a frame as it comes in."""
        if len(frame) < 14:
            return Judgement("drop", "truncated")
        vlan_id, at, ethertype = _outermost(frame)
        port = self._ports.get(vlan_id)
        if (
            vlan_id is None and at == 18 and ethertype in _INNER_TAGS and len(frame) >= 22
        ):  # whose VLAN the kernel takes it for, the next tag says
            return self._together("vlan-stacked", self._enforced or (port is None and self._drops_unknown))
        return port.judge(frame, at, ethertype) if port is not None else self._of_no_port(frame, vlan_id, at, ethertype)

    def _of_no_port(self, frame: bytes, vlan_id: int | None, at: int, ethertype: int) -> Judgement:
        hidden = vlan_id is None and self._hides_tags
        if _is_guarded_traffic(frame, at, ethertype):
            concerns = hidden or self._drops_unknown
            return self._together("unknown-port", self._enforced or self._drops_unknown) if concerns else _PASS
        if hidden and self._guards:  # its VLAN is anybody's guess, and so is whose addresses it may have
            return self._together("unknown-port", self._guards_enforced)
        return _PASS

    def _together(self, reason: str, drops: bool) -> Judgement:
        """What is no one port's goes by all of them: dropped as soon as one would."""
        return Judgement("drop" if drops else "pass", reason)

    def port(self, frame: bytes) -> str:
        """Name of the port that a frame of 14 bytes or more belongs to; empty for none."""
        port = self._ports.get(_outermost(frame)[0])
        return "" if port is None else port.name


def _outermost(frame: bytes) -> tuple[int | None, int, int]:
    """A frame's VLAN (0, a priority tag's, is none), where its packet begins, and its EtherType. A tag must be all there to name a VLAN."""
    ethertype = _number(frame, 12)
    if ethertype in _TAGS and len(frame) >= 18:
        return (_number(frame, 14) & 0xFFF) or None, 18, _number(frame, 16)
    return None, 14, ethertype


def _is_guarded_traffic(frame: bytes, at: int, ethertype: int) -> bool:
    """Whether a frame of no port is ARP, ND or MLD from a router, or one that would be dropped on any port, whatever is billed there."""
    return bool(_layer2(frame, at, ethertype)) or ethertype == _ARP or (ethertype == _IPV6 and bool(find_nd(frame, at).reason))


def judge(frame: bytes, policy: PortPolicy) -> Judgement:
    """Judge one frame that comes in where `policy` alone holds."""
    return Model(policy).judge(frame)
