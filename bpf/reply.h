/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The gateway's answers, built in the frame that asked. The VLAN tag, where there is one, stays where it is. */
#ifndef L3CTL_REPLY_H
#define L3CTL_REPLY_H

#include "arp.h"
#include "nd.h"

#define MIN_FRAME 60 /* without the checksum: what a NIC puts on the wire at least */

#define IPV6_HEAD(length) swap64(0x6000000000003affULL | (__u64)(length) << 16) /* hop limit 255, ICMPv6 */
#define ALL_NODES swap64(0xff02000000000000ULL) /* the upper half; the lower is 1 */
#define ALL_NODES_LLADDR 0x0100000033330000ULL	/* 33:33:00:00:00:01, as load_lladdr has it */

#define NA_FLAGS swap32(0xa0000000) /* router, override */
#define NA_SOLICITED swap32(0x40000000)
#define NA_OPTION 0x0102 /* target link-layer address, one unit long: the option's first two bytes */

struct advertisement {
	__u64 ipv6_head;
	__u64 source[2];
	__u64 destination[2];
	__u16 type;
	__u16 checksum;
	__u32 flags;
	__u64 target[2];
	__u64 option;
};

/* Copies in the largest steps: of members of a packed packet the compiler makes steps of two bytes. */
static __always_inline void store_lladdr(void *to, __u64 lladdr)
{
	*(__u32 *)to = lladdr >> 16;
	*(__u16 *)(to + 4) = lladdr >> 48;
}

/* Cut or grow the frame to `length` bytes. False: no room. */
static __always_inline bool resize(struct xdp_md *context, struct frame *frame, __u32 length)
{
	if (length != frame->length && bpf_xdp_adjust_tail(context, (int)length - (int)frame->length))
		return false;
	frame->data = (void *)(long)context->data;
	frame->data_end = (void *)(long)context->data_end;
	return true;
}

static __always_inline int answer_arp(struct xdp_md *context, struct frame *frame, const struct port *port)
{
	/* A frame from a wire is padded; the answer keeps that padding, and nothing longer comes back than the shortest frame. */
	__u32 longest = MIN_FRAME - ETHERNET_HEADER + frame->network;
	if (frame->length > longest && !resize(context, frame, longest))
		return XDP_DROP;
	struct ethernet_header *ethernet = frame->data;
	struct arp_packet *arp = frame->data + frame->network;
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(arp + 1) > frame->data_end)
		return XDP_DROP;

	__u64 router = load_lladdr(port->router_lladdr), host = load_lladdr(ethernet->source);
	__u32 gateway = *(__u32 *)arp->target_address;
	arp->operation = swap16(ARP_REPLY);
	store_lladdr(arp->target_lladdr, host);
	*(__u32 *)arp->target_address = *(__u32 *)arp->sender_address;
	store_lladdr(arp->sender_lladdr, router);
	*(__u32 *)arp->sender_address = gateway;
	store_lladdr(ethernet->destination, host);
	store_lladdr(ethernet->source, router);
	return XDP_TX;
}

/* RFC 4861, 7.2.4. Who asks from :: has no address to answer to: all nodes hear it, unsolicited. */
static __always_inline int answer_ns(struct xdp_md *context, struct frame *frame, const struct port *port)
{
	const struct ipv6_header *question = frame->data + frame->network;
	const __u64 *asked = frame->data + frame->icmpv6 + ND_TARGET;
	if ((void *)(question + 1) > frame->data_end || (void *)(asked + 2) > frame->data_end)
		return XDP_DROP;
	const __u64 *asking = (const void *)question->source;
	__u64 target[2] = {asked[0], asked[1]}, host[2] = {asking[0], asking[1]};
	bool solicited = host[0] | host[1];

	if (!resize(context, frame, frame->network + sizeof(struct advertisement)))
		return XDP_DROP;
	struct ethernet_header *ethernet = frame->data;
	struct advertisement *answer = frame->data + frame->network;
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(answer + 1) > frame->data_end)
		return XDP_DROP;

	__u64 router = load_lladdr(port->router_lladdr);
	store_lladdr(ethernet->destination, solicited ? load_lladdr(ethernet->source) : ALL_NODES_LLADDR);
	store_lladdr(ethernet->source, router);
	answer->ipv6_head = IPV6_HEAD(sizeof(*answer) - IPV6_HEADER);
	answer->source[0] = answer->target[0] = target[0];
	answer->source[1] = answer->target[1] = target[1];
	answer->destination[0] = solicited ? host[0] : ALL_NODES;
	answer->destination[1] = solicited ? host[1] : swap64(1);
	answer->type = swap16(NEIGHBOUR_ADVERTISEMENT << 8); /* code 0 */
	answer->checksum = 0;
	answer->flags = solicited ? NA_FLAGS | NA_SOLICITED : NA_FLAGS;
	answer->option = router | NA_OPTION;
	/* From scratch, over the pseudo-header's addresses and the message, which stand side by side. */
	answer->checksum = ~fold_sum(sum_words(answer->source, (sizeof(*answer) - 8) / 4) + swap32(sizeof(*answer) - IPV6_HEADER) +
				     swap32(NEXT_ICMPV6));
	return XDP_TX;
}

#endif
