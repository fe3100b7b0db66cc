/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The gateway's answers, built in the frame that asked. The VLAN tag, where there is one, stays where it is. */
#ifndef L3CTL_REPLY_H
#define L3CTL_REPLY_H

#include "arp.h"
#include "nd.h"

#define MIN_FRAME 60 /* without the checksum: what a NIC puts on the wire at least */

#define NA_ROUTER 0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE 0x20
#define ND_OPTION_TARGET_LLADDR 2

struct advertisement {
	struct ipv6_header ipv6;
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u8 flags;
	__u8 reserved[3];
	__u8 target[16];
	__u8 option_type;
	__u8 option_length;
	__u8 option_lladdr[6];
};

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

	__u32 gateway = *(__u32 *)arp->target_address;
	arp->operation = swap16(ARP_REPLY);
	__builtin_memcpy(arp->target_lladdr, arp->sender_lladdr, 6);
	*(__u32 *)arp->target_address = *(__u32 *)arp->sender_address;
	__builtin_memcpy(arp->sender_lladdr, port->router_lladdr, 6);
	*(__u32 *)arp->sender_address = gateway;
	__builtin_memcpy(ethernet->destination, ethernet->source, 6);
	__builtin_memcpy(ethernet->source, port->router_lladdr, 6);
	return XDP_TX;
}

/* RFC 4861, 7.2.4. Who asks from :: has no address to answer to: all nodes hear it, unsolicited. */
static __always_inline int answer_ns(struct xdp_md *context, struct frame *frame, const struct port *port)
{
	struct ipv6_header *asked = frame->data + frame->network;
	__u8 *target = frame->data + frame->icmpv6 + ND_NS_TARGET;
	if ((void *)(asked + 1) > frame->data_end || (void *)(target + 16) > frame->data_end)
		return XDP_DROP;

	bool solicited = !is_zero16(asked->source);
	struct advertisement answer = {};
	answer.ipv6.version_class = 0x60;
	answer.ipv6.payload_length = swap16(sizeof(answer) - IPV6_HEADER);
	answer.ipv6.next_header = NEXT_ICMPV6;
	answer.ipv6.hop_limit = 255;
	__builtin_memcpy(answer.ipv6.source, target, 16);
	if (solicited) {
		__builtin_memcpy(answer.ipv6.destination, asked->source, 16);
	} else {
		answer.ipv6.destination[0] = 0xff;
		answer.ipv6.destination[1] = 0x02;
		answer.ipv6.destination[15] = 0x01;
	}
	answer.type = NEIGHBOUR_ADVERTISEMENT;
	answer.flags = NA_ROUTER | NA_OVERRIDE | (solicited ? NA_SOLICITED : 0);
	__builtin_memcpy(answer.target, target, 16);
	answer.option_type = ND_OPTION_TARGET_LLADDR;
	answer.option_length = 1;
	__builtin_memcpy(answer.option_lladdr, port->router_lladdr, 6);
	/* From scratch, over the pseudo-header's addresses and the message, which stand side by side. */
	answer.checksum = ~fold_sum(sum_words(answer.ipv6.source, (sizeof(answer) - 8) / 4) + swap32(sizeof(answer) - IPV6_HEADER) +
				    swap32(NEXT_ICMPV6));

	if (!resize(context, frame, frame->network + sizeof(answer)))
		return XDP_DROP;
	struct ethernet_header *ethernet = frame->data;
	void *network = frame->data + frame->network;
	if ((void *)(ethernet + 1) > frame->data_end || network + sizeof(answer) > frame->data_end)
		return XDP_DROP;
	__builtin_memcpy(network, &answer, sizeof(answer));
	if (solicited)
		__builtin_memcpy(ethernet->destination, ethernet->source, 6);
	else
		__builtin_memcpy(ethernet->destination, "\x33\x33\x00\x00\x00\x01", 6);
	__builtin_memcpy(ethernet->source, port->router_lladdr, 6);
	return XDP_TX;
}

#endif
