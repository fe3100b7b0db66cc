/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * The first-hop guard: ordinary traffic leaves at once; of the rest, parse -> classify -> verdict -> count. Compiled by bcc, which rewrites map access in this file only; so every map
 * and every look-up stands here, and the rules in the headers call them.
 */
#include "ordinary.h"

BPF_ARRAY(ifs, struct netdev, MAX_IFINDEX);
BPF_TABLE("hash", __u32, struct netdev, far_ifs, MAX_FAR_NETDEVS);
BPF_ARRAY(vlans, struct pointer, MAX_TRUNKS * 4096);
BPF_ARRAY(ports, struct port, MAX_PORTS);
BPF_ARRAY(names, struct port_name, MAX_PORTS);
BPF_ARRAY(budgets, __u64, MAX_PORTS); /* [port] -> theoretical arrival time of the next answer, in ns of the coarse clock */
BPF_PERCPU_ARRAY(counters_chunk, struct port_counters, COUNTERS_CHUNK);
BPF_ARRAY_OF_MAPS(counters, "counters_chunk", MAX_PORTS / COUNTERS_CHUNK);
BPF_ARRAY(tokens, struct port_tokens, MAX_PORTS);
BPF_F_TABLE("array", __u32, __u64, asked, MAX_PORTS, BPF_F_MMAPABLE);
BPF_F_TABLE("array", __u32, __u64, seen, MAX_PORTS, BPF_F_MMAPABLE);
BPF_RINGBUF_OUTPUT(samples, SAMPLES_SIZE / 4096);
BPF_F_TABLE("hash", struct host_key, struct host, hosts, MAX_HOSTS, BPF_F_NO_PREALLOC);
BPF_F_TABLE("hash", struct gateway_key, __u8, gateways, MAX_GATEWAYS, BPF_F_NO_PREALLOC);
BPF_PERCPU_ARRAY(places, struct nd_place, 1);
BPF_LPM_TRIE(prefixes, struct prefix_key, __u8, MAX_PREFIXES);

/* The link-local billed to a MAC on this port, or NULL: not a host of this port. */
static __always_inline const __u8 *find_host(const struct port *port, __u32 index, const __u8 *lladdr)
{
	if (equal_lladdr(port->lladdr, lladdr))
		return port->link_local;
	if (port->host_count < 2)
		return NULL;
	struct host_key key = {.port = index};
	__builtin_memcpy(key.lladdr, lladdr, 6);
	struct host *host = hosts.lookup(&key);
	return host ? host->link_local : NULL;
}

/* IPv4 stands in the tables as ::ffff:a.b.c.d; an IPv6 packet that spells its address so must not pass for it. */
#define V4_MAPPED 0xffff0000ULL /* the third word, of a pair in the order of the wire */

static __always_inline bool is_v4_mapped(const __u64 *half)
{
	return !half[0] && (half[1] & 0xffffffff) == V4_MAPPED;
}

static __always_inline bool is_billed(__u32 index, const void *lladdr, const void *address)
{
	struct prefix_key key = {.prefix_length = PREFIX_KEY_BITS + 128, .port = index};
	__builtin_memcpy(key.lladdr, lladdr, 6);
	__builtin_memcpy(key.address, address, 16);
	return prefixes.lookup(&key) != NULL;
}

/* A port whose first host has no prefix has a mask of zeroes and a prefix of ones, which no address is in. */
static __always_inline bool is_in_prefix(const struct port *port, const void *address)
{
	const __u64 *half = address, *prefix = (const void *)port->prefix, *mask = (const void *)port->prefix_mask;
	return !(((half[0] & mask[0]) ^ prefix[0]) | ((half[1] & mask[1]) ^ prefix[1]));
}

static __always_inline bool is_billed_ipv6(const struct port *port, __u32 index, const __u8 *lladdr, const __u8 *address)
{
	if (is_in_prefix(port, address) && equal_lladdr(port->lladdr, lladdr))
		return true;
	if (port->flags & PORT_BILLED_INLINE)
		return false;
	return !is_v4_mapped((const void *)address) && is_billed(index, lladdr, address);
}

static __always_inline bool is_billed_ipv4(const struct port *port, __u32 index, const __u8 *lladdr, __u32 address)
{
	if (address == port->address && equal_lladdr(port->lladdr, lladdr))
		return true;
	if (port->flags & PORT_BILLED_INLINE)
		return false;
	__u32 mapped[4] = {0, 0, V4_MAPPED, address};
	return is_billed(index, lladdr, mapped);
}

static __always_inline bool is_proxied_ipv4(__u32 index, __u32 address)
{
	const __u8 nobody[6] = {};
	__u32 mapped[4] = {0, 0, V4_MAPPED, address};
	return is_billed(index, nobody, mapped);
}

static __always_inline bool is_gateway(__u32 index, const void *address)
{
	struct gateway_key key = {.port = index};
	__builtin_memcpy(key.address, address, 16);
	return gateways.lookup(&key) != NULL;
}

static __always_inline bool is_gateway_ipv6(const struct port *port, __u32 index, const __u8 *address)
{
	const __u64 *half = (const void *)address;
	if (is_v4_mapped(half))
		return false;
	if (equal16(port->gateway6, address) && half[0])
		return true;
	return !(port->flags & PORT_GATEWAYS_INLINE) && is_gateway(index, address);
}

static __always_inline bool is_gateway_ipv4(const struct port *port, __u32 index, __u32 address)
{
	if (address && address == port->gateway4)
		return true;
	if (port->flags & PORT_GATEWAYS_INLINE)
		return false;
	__u32 mapped[4] = {0, 0, V4_MAPPED, address};
	return is_gateway(index, mapped);
}

/* Whether the agent has a probe out on this port. Every answer that matches counts as long as it has: a port may have several hosts. */
static __always_inline bool is_asked(const struct port *port, __u32 index)
{
	if (!(port->flags & PORT_PROBED))
		return false;
	__u64 *until = asked.lookup(&index);
	return until && bpf_ktime_get_coarse_ns() <= *until;
}

/* What was counted for this reason shows that the port's host is there. */
static __always_inline void note_life(const struct port *port, __u32 index, __u32 reason)
{
	if (!(port->flags & PORT_PROBED))
		return;
	if (reason != REASON_PROBE_ANSWER && reason != REASON_ARP_ANSWER && reason != REASON_NS_ANSWER && reason != REASON_RATE_LIMIT)
		return;
	__u64 *when = seen.lookup(&index);
	if (when)
		*when = bpf_ktime_get_coarse_ns();
}

#include "arp.h"
#include "guard.h"
#include "plain.h"
#include "reply.h"
#include "stranger.h"

/* One counted exit for everything that is not ordinary traffic. */
static __always_inline void count(__u32 index, __u32 reason)
{
	__u32 chunk = index / COUNTERS_CHUNK, cell = index % COUNTERS_CHUNK;
	void *counted = counters.lookup(&chunk);
	if (!counted)
		return;
	struct port_counters *port = bpf_map_lookup_elem(counted, &cell);
	if (port && reason < REASON_STRIDE)
		port->counts[reason] += 1;
}

/* Evidence, as long as there are tokens for it: a flood costs a fixed number of samples. No clock: the agent refills what it has read. */
static __always_inline void sample(struct xdp_md *context, const struct frame *frame, __u32 index, __u32 reason)
{
	struct port_tokens *budget = tokens.lookup(&index);
	if (!budget || reason >= REASON_STRIDE || !budget->left[reason])
		return;
	struct sample *taken = samples.ringbuf_reserve(sizeof(struct sample));
	if (!taken)
		return;
	budget->left[reason] -= 1;
	taken->ifindex = context->ingress_ifindex;
	taken->port = index;
	taken->vlan_id = frame->vlan_id;
	taken->reason = reason;
	taken->length = frame->length;
	__u64 captured = frame->length < SAMPLE_FRAME ? frame->length : SAMPLE_FRAME;
	asm volatile("" : "+r"(captured));
	/* 1 to 128 in the one way in which the verifiers of 6.1 and 6.12 see it as well; no frame is empty. */
	captured = ((captured - 1) & (SAMPLE_FRAME - 1)) + 1;
	taken->captured = captured;
	if (bpf_xdp_load_bytes(context, 0, taken->frame, captured))
		taken->captured = 0;
	samples.ringbuf_submit(taken, 0);
}

/*
 * Generic cell rate algorithm: one number a port, no division. Two CPUs that answer the same port in the same moment may both see the old
 * number; that is one answer too many a CPU, and costs no lock. Only frames that would be answered reach this clock, a flood of drops never.
 */
static __always_inline bool within_budget(const struct port *port, __u32 index)
{
	__u64 *arrival = budgets.lookup(&index);
	if (!arrival)
		return false;
	__u64 now = bpf_ktime_get_coarse_ns();
	__u64 next = *arrival > now ? *arrival : now;
	if (next - now > port->answer_ahead)
		return false;
	*arrival = next + port->answer_interval;
	return true;
}

static __always_inline struct netdev *find_netdev(__u32 ifindex)
{
	struct netdev *netdev = ifs.lookup(&ifindex);
	return netdev ? netdev : far_ifs.lookup(&ifindex);
}

/* What points to the port a frame belongs to; NULL: nothing does. */
static __always_inline const struct pointer *find_pointer(const struct netdev *netdev, __u16 vlan_id)
{
	if (vlan_id == UNTAGGED)
		return (const void *)netdev->untagged;
	if (!netdev->trunk)
		return NULL;
	__u32 cell = (netdev->trunk - 1) * 4096 + vlan_id;
	return vlans.lookup(&cell);
}

/* The port a frame belongs to, as index; 0: none. */
static __always_inline __u32 find_port(const struct netdev *netdev, __u16 vlan_id)
{
	const struct pointer *pointer = find_pointer(netdev, vlan_id);
	return pointer ? pointer->port : 0;
}

/*
 * The verifier knows the offsets that each way through the parser ends with, and would follow every one of them through the loop over ND
 * options: over a million steps. Numbers that were in a map are just numbers to it, and all ways are one from here on.
 */
static __always_inline bool merge_paths(struct frame *frame)
{
	__u32 only = 0;
	struct nd_place *place = places.lookup(&only);
	if (!place)
		return false;
	place->network = frame->network;
	place->icmpv6 = frame->icmpv6;
	place->type = frame->icmpv6_type;
	place->header = nd_header_length(frame->icmpv6_type);
	KEEP_POINTER(place);
	frame->network = place->network & 0xff;
	frame->icmpv6 = place->icmpv6 & 0x3fff;
	frame->icmpv6_type = place->type;
	frame->nd_header = place->header & 0xff;
	return true;
}

static __always_inline enum reason judge_nd(struct frame *frame, const struct port *port, __u32 index, bool plain)
{
	struct nd_message message = {};
	if (plain ? !read_plain_nd(frame, &message) : !merge_paths(frame) || !read_nd(frame, &message))
		return REASON_ND_MALFORMED;
	return nd_verdict(frame, &message, port, index);
}

#ifdef SOURCE_GUARD
/*
 * The source guard's question about an ordinary frame, answered from what stands beside the pointer to its port: the first host's MAC, first
 * prefix and first address. False: not answered here. What points nowhere has no flags.
 */
static __always_inline bool is_welcome(const struct xdp_md *context, const void *data, __u32 packet, bool ipv4)
{
	__u32 ifindex = context->ingress_ifindex;
	struct netdev *netdev = ifs.lookup(&ifindex);
	if (!netdev)
		return false;
	__u16 vlan_id = 0;
	if (packet != ETHERNET_HEADER)
		vlan_id = swap16(*(const __u16 *)(data + ETHERNET_HEADER)) & 0xfff;
	const struct pointer *pointer = find_pointer(netdev, vlan_id ? vlan_id : UNTAGGED);
	if (!pointer || !(pointer->flags & PORT_SOURCE_GUARD))
		return (pointer && pointer->port) || !(netdev->flags & NETDEV_MAY_HIDE_TAGS);
	if (!equal_lladdr(pointer->lladdr, data + 6))
		return false;
	if (ipv4) {
		__u32 source = *(const __u32 *)(data + packet + 12);
		return source && source == pointer->address;
	}
	const __u64 *prefix = (const void *)pointer->prefix, *mask = (const void *)pointer->prefix_mask;
	return (*(const __u64 *)(data + packet + 8) & *mask) == *prefix;
}
#else
static __always_inline bool is_welcome(const struct xdp_md *context, const void *data, __u32 packet, bool ipv4)
{
	(void)context, (void)data, (void)packet, (void)ipv4;
	return true;
}
#endif

/*
 * The rest of a frame's way, from what the parser said of it. Compiled once for each kind of frame that is worth it: what is constant where
 * this is called costs nothing.
 */
static __always_inline int judge(struct xdp_md *context, struct frame *frame, __u32 reason, bool plain)
{
	bool readable = reason == REASON_NONE;
	bool ordinary = readable && frame->kind < FRAME_ARP;
#ifndef SOURCE_GUARD
	if (ordinary && !frame->stacked)
		return XDP_PASS;
#endif

	__u32 ifindex = context->ingress_ifindex;
	struct netdev *netdev = find_netdev(ifindex);
	if (!netdev)
		return XDP_PASS;
	__u32 index = find_port(netdev, frame->vlan_id);
	if (!index) {
		bool harmless = ordinary && !frame->stacked;
		reason = stranger_verdict(frame, netdev, harmless);
		if (reason == REASON_NONE)
			return XDP_PASS;
		count(0, reason);
		sample(context, frame, 0, reason);
		return refuses_strangers(netdev, harmless) ? XDP_DROP : XDP_PASS;
	}
	struct port *port = ports.lookup(&index);
	if (!port)
		return XDP_PASS;

	if (is_priority_stack(frame) || (frame->stacked && !(port->flags & PORT_QINQ)))
		reason = REASON_VLAN_STACKED;
	else if (readable && frame->kind == FRAME_ARP)
		reason = arp_verdict(frame, port, index);
	else if (readable && frame->kind == FRAME_ND)
		reason = judge_nd(frame, port, index, plain);
#ifdef SOURCE_GUARD
	else if (ordinary && port->flags & PORT_SOURCE_GUARD)
		reason = source_verdict(frame, port, index);
#endif
	if (ordinary && reason == REASON_NONE)
		return XDP_PASS;

	/* What is left without a reason is a router solicitation that may pass; it draws on the same budget as an answer. */
	if ((reason == REASON_NONE || reason == REASON_ARP_ANSWER || reason == REASON_NS_ANSWER) && !within_budget(port, index))
		reason = REASON_RATE_LIMIT;
#ifdef BROKEN_RULE /* -DBROKEN_RULE=REASON_...: how the fuzzer shows that it would find a rule that is missing */
	if (reason == BROKEN_RULE)
		return XDP_PASS;
#endif
	if (reason == REASON_NONE)
		return XDP_PASS;
	count(index, reason);
	note_life(port, index, reason);
	bool answered = reason == REASON_ARP_ANSWER || reason == REASON_NS_ANSWER;
	if (!answered && reason != REASON_PROBE_ANSWER)
		sample(context, frame, index, reason);
	if (port->flags & PORT_AUDIT && !(is_priority_stack(frame) && netdev->flags & NETDEV_ENFORCED))
		return XDP_PASS;
	if (!answered)
		return XDP_DROP;
	return reason == REASON_ARP_ANSWER ? answer_arp(context, frame, port) : answer_ns(context, frame, port);
}

/* Everything that is not ordinary traffic. */
static __always_inline int inspect(struct xdp_md *context)
{
	struct frame frame = {
		.data = (void *)(long)context->data,
		.data_end = (void *)(long)context->data_end,
	};
	__u64 length = frame.data_end - frame.data;
	asm volatile("" : "+r"(length)); /* a number from here on: else the compiler computes with the pointers, which the verifier forbids */
	frame.length = length;

	__u16 type = plain_type(&frame);
	if (type == swap16(ETHERTYPE_ARP)) {
		frame.kind = FRAME_ARP;
		return judge(context, &frame, REASON_NONE, true);
	}
	if (type == swap16(ETHERTYPE_IPV6) && is_plain_nd(&frame)) {
		frame.kind = FRAME_ND;
		return judge(context, &frame, REASON_NONE, true);
	}
	__u32 reason = parse_frame(&frame);
	return judge(context, &frame, reason, false);
}

int l3ctl_filter(struct xdp_md *context)
{
	void *data = (void *)(long)context->data, *data_end = (void *)(long)context->data_end;
	pass_ordinary(context, data, data_end);
	asm volatile("" : "+r"(context)); /* what follows reads the pointers anew: else ordinary frames would pay for keeping them */
	return inspect(context);
}
