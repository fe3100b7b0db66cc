/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Source address validation of ordinary traffic (RFC 2827, 7039). Compiled in only where a port wants it. */
#ifndef L3CTL_GUARD_H
#define L3CTL_GUARD_H

#include "parse.h"

#define MLD_REPORT 131
#define MLD_DONE 132
#define MLD2_REPORT 143
#define DHCP_CLIENT 68
#define DHCP_SERVER 67

/* DISCOVER and REQUEST of a client that has no address yet (RFC 2131, 4.1). */
static __always_inline bool is_dhcp_request(const struct frame *frame)
{
	const __u8 *ipv4 = frame->data + frame->network;
	if ((void *)(ipv4 + IPV4_HEADER + 4) > frame->data_end || ipv4[0] != 0x45 || ipv4[9] != NEXT_UDP)
		return false;
	if (swap16(*(const __u16 *)(ipv4 + 6)) & 0x1fff) /* a later fragment has no ports */
		return false;
	const __u16 *l4_ports = (const void *)(ipv4 + IPV4_HEADER);
	return l4_ports[0] == swap16(DHCP_CLIENT) && l4_ports[1] == swap16(DHCP_SERVER);
}

/* The unspecified source is for a host that is still making its address: ND, judged elsewhere, and MLD (RFC 3590), behind a router alert. */
static __always_inline bool is_mld_report(const struct frame *frame)
{
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	if ((void *)(ipv6 + 1) > frame->data_end || ipv6->next_header != NEXT_HOP_BY_HOP)
		return false;
	const __u8 *options = (const void *)(ipv6 + 1);
	if ((void *)(options + 9) > frame->data_end || options[0] != NEXT_ICMPV6 || options[1] != 0)
		return false;
	return options[8] == MLD_REPORT || options[8] == MLD_DONE || options[8] == MLD2_REPORT;
}

static __always_inline enum reason source_verdict(const struct frame *frame, const struct port *port, __u32 index)
{
	const struct ethernet_header *ethernet = frame->data;
	if ((void *)(ethernet + 1) > frame->data_end)
		return REASON_SOURCE_SPOOF;
	const __u8 *link_local = find_host(port, index, ethernet->source);
	if (!link_local)
		return REASON_SOURCE_SPOOF;

	if (frame->kind == FRAME_IPV4) {
		const __u32 *source = frame->data + frame->network + 12;
		if ((void *)(source + 1) > frame->data_end)
			return REASON_SOURCE_SPOOF;
		if (*source == 0 ? is_dhcp_request(frame) : is_billed_ipv4(port, index, ethernet->source, *source))
			return REASON_NONE;
		return REASON_SOURCE_SPOOF;
	}
	if (frame->kind == FRAME_IPV6) {
		const struct ipv6_header *ipv6 = frame->data + frame->network;
		if ((void *)(ipv6 + 1) > frame->data_end)
			return REASON_SOURCE_SPOOF;
		if (is_billed_ipv6(port, index, ethernet->source, ipv6->source) || equal16(ipv6->source, link_local) ||
		    (is_zero16(ipv6->source) && is_mld_report(frame)))
			return REASON_NONE;
		return REASON_SOURCE_SPOOF;
	}
	return REASON_NONE;
}

#endif
