/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What the filter and its users agree on: map values, reasons, limits. l3ctl/xdp/abi.py reads this file, so there is no second copy to
 * keep in step: it takes the struct members (fixed-width types and arrays only), the REASON lines and the #define numbers. A hash of this
 * file names the layout; pinned maps of another layout are never adopted.
 *
 * Addresses and 16-bit protocol numbers are in network byte order, everything else in host order. IPv4 addresses stand as v4-mapped IPv6.
 */
#ifndef L3CTL_ABI_H
#define L3CTL_ABI_H

#define MAX_IFINDEX 65536
#define MAX_TRUNKS 64
#define MAX_PORTS 131072
#define MAX_HOSTS 262144
#define MAX_PREFIXES 524288
#define MAX_GATEWAYS 262144
#define REASON_STRIDE 48

/* struct port flags */
#define PORT_AUDIT 1
#define PORT_SOURCE_GUARD 2
#define PORT_PASS_ROUTER_SOLICITATIONS 4
#define PORT_QINQ 8
#define PORT_PROXY_ARP 16
#define PORT_PROBED 32
#define PORT_BILLED_INLINE 64 /* all that is billed to it stands in its record; what it may ask proxy_arp for does not */
#define PORT_GATEWAYS_INLINE 128 /* and so do all gateways that it may ask for, each with something in its upper half */

/* struct netdev flags: what is asked of it, and what its ports, taken together, make of it */
#define NETDEV_DROP_UNKNOWN_VLAN 1
#define NETDEV_MAY_HIDE_TAGS 2 /* a trunk whose frames may have their tag where XDP cannot see it, as a veth's */
#define NETDEV_ENFORCED 4 /* a port of it is enforced */
#define NETDEV_GUARDED 8 /* a port of it has the source guard */
#define NETDEV_GUARD_ENFORCED 16 /* a port of it has both */

/* How many bits of struct prefix_key stand before the address: port, lladdr, pad. */
#define PREFIX_KEY_BITS 96

/* How many bytes of a frame a sample holds, and how many bytes of samples may wait to be read. */
#define SAMPLE_FRAME 128
#define SAMPLES_SIZE 262144

/* Netdevs whose ifindex is past the array's end stand in a hash: a hypervisor's taps come and go, and an ifindex never comes again. */
#define MAX_FAR_NETDEVS 16384

/*
 * vlans[(trunk - 1) * 4096 + VLAN id]: whose frames these are, as an index into ports; 0 is none. Beside it stands what the source guard
 * asks of most frames, copied from the port's record: each look-up less is a tenth of what a frame costs. Such a copy can only let a frame
 * pass at once; what it does not welcome is judged by the record. The prefix is the upper half of the record's, which must not be longer
 * than that; else it is all ones under a mask of zeroes, which no address is in.
 */
struct pointer {
	__u32 port;
	__u32 address;
	__u8 lladdr[6];
	__u16 flags;
	__u8 prefix[8];
	__u8 prefix_mask[8];
};

/* ifs[ifindex], or far_ifs[ifindex]: where to look for the port. A trunk is an index + 1; 0 is none. `untagged` stands first. */
struct netdev {
	__u8 untagged[32]; /* struct pointer */
	__u32 trunk;
	__u32 flags;
	__u32 reserved[6]; /* up to a power of two, which an array finds without a multiplication */
};

/*
 * ports[index]. The first host stands inline, so that a port with one host, one prefix and one address is judged from this record alone;
 * further hosts and prefixes are in `hosts` and `prefixes`. Where a flag says that there are no further ones, nobody looks there: a flood is
 * of what is billed to nobody, and each of its frames would go down the trie of all ports. While a record changes, when a frame may
 * find half of each, neither says so. Index 0 counts what belongs to no port (unknown-port).
 */
struct port {
	__u8 lladdr[6];
	__u16 flags;
	__u8 router_lladdr[6];
	__u16 reserved;
	__u8 link_local[16];
	__u8 prefix[16];
	__u8 prefix_mask[16];
	__u32 address;
	__u32 answer_interval; /* nanoseconds between answers once the burst is used up */
	__u64 answer_ahead;    /* nanoseconds the bucket may run ahead: (burst - 1) * interval */
	__u32 answer_rate;     /* what the two were worked out from */
	__u32 answer_burst;
	__u32 host_count;
	__u32 ifindex;
	__u32 vlan_id; /* UNTAGGED where the frames carry no tag, or VLAN id 0 */
	__u32 gateway4;        /* of all that are in `gateways`, those that hosts ask for most (zero: none) */
	__u8 gateway6[16];
	__u32 reserved2[2];
};

#define UNTAGGED 4096

/* names[index]: the port's name, NUL-padded, so that a filter can be adopted and read without its inventory. */
struct port_name {
	__u8 text[64];
};

/* hosts[{port, lladdr}] -> struct host: every host of a port, the inline one included. */
struct host_key {
	__u32 port;
	__u8 lladdr[6];
	__u16 pad;
};

struct host {
	__u8 link_local[16];
};

/*
 * prefixes (LPM): what is billed to a host. Being there is all; the value says nothing. Under a MAC of zeroes, which no frame may come
 * from, stand the prefixes whose addresses the router answers ARP for (proxy_arp).
 */
struct prefix_key {
	__u32 prefix_length;
	__u32 port;
	__u8 lladdr[6];
	__u16 pad;
	__u8 address[16];
};

/* gateways[{port, address}]: what the filter answers for. */
struct gateway_key {
	__u32 port;
	__u8 address[16];
};

/*
 * counters[index / COUNTERS_CHUNK][index % COUNTERS_CHUNK], each CPU's own: how many frames, by reason. A chunk is 1.5 MB a CPU, and made
 * when the first port of it comes.
 */
#define COUNTERS_CHUNK 4096

struct port_counters {
	__u64 counts[48]; /* REASON_STRIDE */
};

/* tokens[index]: how many more samples may be taken of each reason until the agent, having read those there are, refills them. */
struct port_tokens {
	__u8 left[48]; /* REASON_STRIDE */
};

/* samples (ring buffer): a frame that was counted, as evidence. `length` is the frame's, `captured` what of it is here. */
struct sample {
	__u32 ifindex;
	__u32 port;
	__u32 vlan_id;
	__u32 reason;
	__u32 length;
	__u32 captured;
	__u8 frame[128]; /* SAMPLE_FRAME */
};

/*
 * asked[index]: until when an answer to the agent's probe counts; seen[index]: when the port's host last answered one, or asked for the
 * gateway. Both in nanoseconds of the coarse monotonic clock, both mapped into the agent's memory: a probe costs it no system call but its
 * sending.
 */

/* places[0]: scratch of one frame. */
struct nd_place {
	__u32 network;
	__u32 icmpv6;
	__u32 header;
	__u32 type;
};

/*
 * REASON(symbol, verdict, "name"): a row of the contract. The name is what counters, events and `l3ctl verdict` say; its number may change
 * between layouts. Verdict is what happens to the frame: PASS, DROP or ANSWER. At most REASON_STRIDE of them.
 */
#define REASONS(REASON)                                        \
	REASON(NONE, PASS, "")                                 \
	REASON(TRUNCATED, DROP, "truncated")                   \
	REASON(VLAN_STACKED, DROP, "vlan-stacked")             \
	REASON(LLC, DROP, "llc")                               \
	REASON(BAD_SOURCE_MAC, DROP, "bad-source-mac")         \
	REASON(VERSION_MISMATCH, DROP, "version-mismatch")     \
	REASON(RARP, DROP, "rarp")                             \
	REASON(UNKNOWN_PORT, DROP, "unknown-port")             \
	REASON(ARP_MALFORMED, DROP, "arp-malformed")           \
	REASON(ARP_MAC_SPOOF, DROP, "arp-mac-spoof")           \
	REASON(ARP_MAC_MISMATCH, DROP, "arp-mac-mismatch")     \
	REASON(ARP_REPLY, DROP, "arp-reply")                   \
	REASON(ARP_OPERATION, DROP, "arp-operation")           \
	REASON(ARP_IP_SPOOF, DROP, "arp-ip-spoof")             \
	REASON(ARP_GRATUITOUS, DROP, "arp-gratuitous")         \
	REASON(ARP_PROBE, DROP, "arp-probe")                   \
	REASON(ARP_ANSWER, ANSWER, "arp-answer")               \
	REASON(ARP_TARGET, DROP, "arp-target")                 \
	REASON(RATE_LIMIT, DROP, "rate-limit")                 \
	REASON(EXT_HEADER, DROP, "ext-header")                 \
	REASON(ND_FRAGMENT, DROP, "nd-fragment")               \
	REASON(ND_MALFORMED, DROP, "nd-malformed")             \
	REASON(ND_MAC_SPOOF, DROP, "nd-mac-spoof")             \
	REASON(NA_UNSOLICITED, DROP, "na-unsolicited")         \
	REASON(RA_ROGUE, DROP, "ra-rogue")                     \
	REASON(REDIRECT, DROP, "redirect")                     \
	REASON(ND_TYPE, DROP, "nd-type")                       \
	REASON(ND_IP_SPOOF, DROP, "nd-ip-spoof")               \
	REASON(ND_LLADDR_MISMATCH, DROP, "nd-lladdr-mismatch") \
	REASON(ND_DESTINATION, DROP, "nd-destination")         \
	REASON(NS_ANSWER, ANSWER, "ns-answer")                 \
	REASON(NS_DAD, DROP, "ns-dad")                         \
	REASON(NS_TARGET, DROP, "ns-target")                   \
	REASON(RS, DROP, "rs")                                 \
	REASON(MLD_QUERY, DROP, "mld-query")                   \
	REASON(SOURCE_SPOOF, DROP, "source-spoof")             \
	REASON(PROBE_ANSWER, DROP, "probe-answer")

enum reason {
#define REASON_NUMBER(symbol, verdict, name) REASON_##symbol,
	REASONS(REASON_NUMBER)
#undef REASON_NUMBER
	REASON_COUNT
};

#endif
