/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The verdict on an ARP packet (RFC 826, 5227). Needs the look-ups of l3ctl.bpf.c above it. */
#ifndef L3CTL_ARP_H
#define L3CTL_ARP_H

#include "parse.h"

#define ARP_KIND 0x000108000604ULL /* hardware Ethernet, protocol IPv4, and the lengths of their addresses */
#define ARP_REQUEST 1
#define ARP_REPLY 2

struct arp_packet {
	__u16 hardware_type;
	__u16 protocol_type;
	__u8 hardware_length;
	__u8 protocol_length;
	__u16 operation;
	__u8 sender_lladdr[6];
	__u8 sender_address[4];
	__u8 target_lladdr[6];
	__u8 target_address[4];
} __attribute__((packed));

static __always_inline enum reason arp_verdict(const struct frame *frame, const struct port *port, __u32 index)
{
	const struct ethernet_header *ethernet = frame->data;
	const struct arp_packet *arp = frame->data + frame->network;

	if ((void *)(ethernet + 1) > frame->data_end || (void *)(arp + 1) > frame->data_end)
		return REASON_ARP_MALFORMED;
	__u64 head = swap64(*(const __u64 *)arp);
	if (head >> 16 != ARP_KIND)
		return REASON_ARP_MALFORMED;
	if (!find_host(port, index, ethernet->source))
		return REASON_ARP_MAC_SPOOF;
	if (!equal_lladdr(arp->sender_lladdr, ethernet->source))
		return REASON_ARP_MAC_MISMATCH;
	__u16 operation = head;
	__u32 sender = *(const __u32 *)arp->sender_address;
	__u32 target = *(const __u32 *)arp->target_address;
	if (operation == ARP_REPLY) { /* our neighbours are permanent: the kernel never asks, and the agent only whether somebody is there */
		if (!is_asked(port, index) || !sender || !is_gateway_ipv4(port, index, target))
			return REASON_ARP_REPLY;
		return is_billed_ipv4(port, index, ethernet->source, sender) ? REASON_PROBE_ANSWER : REASON_ARP_REPLY;
	}
	if (operation != ARP_REQUEST)
		return REASON_ARP_OPERATION;

	if (sender && !is_billed_ipv4(port, index, ethernet->source, sender))
		return REASON_ARP_IP_SPOOF;
	if (sender && sender == target)
		return REASON_ARP_GRATUITOUS;
	if (is_gateway_ipv4(port, index, target))
		return REASON_ARP_ANSWER;
	if (!sender)
		return REASON_ARP_PROBE;
	if (port->flags & PORT_PROXY_ARP && is_proxied_ipv4(index, target) && !is_billed_ipv4(port, index, ethernet->source, target))
		return REASON_ARP_ANSWER;
	return REASON_ARP_TARGET;
}

#endif
