/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What nearly all ARP and ND is, and what floods are made of: behind one tag at most and no extension header, a neighbour's solicitation or
 * advertisement with one option of 8 bytes or none, or a router's advertisement of common length. The parser and the reader of ND say the
 * same of it, with three times the instructions; a frame that is anything else is theirs.
 */
#ifndef L3CTL_PLAIN_H
#define L3CTL_PLAIN_H

#include "nd.h"

#define PLAIN_SHORTEST (ETHERNET_HEADER + 28) /* with an ARP packet */
#define PLAIN_ND_SHORT 24
#define PLAIN_ND_LONG 32 /* with an option */
#define PLAIN_RA_HEADER_UNITS 2
#define PLAIN_RA_MAX_UNITS 8 /* MAC, MTU and a prefix, with which most routers advertise; a frame of 24 bytes at least, as of the others */

/* Find network header and VLAN; the EtherType, in the order of the wire. 0: not plain. */
static __always_inline __u16 plain_type(struct frame *frame)
{
	const struct ethernet_header *ethernet = frame->data;
	if (frame->data + PLAIN_SHORTEST > frame->data_end || is_bad_source(ethernet->source))
		return 0;
	frame->vlan_id = UNTAGGED;
	frame->network = ETHERNET_HEADER;
	if (ethernet->type != swap16(ETHERTYPE_8021Q))
		return ethernet->type;
	const struct vlan_tag *tag = (const void *)(ethernet + 1);
	__u16 vlan_id = swap16(tag->control) & 0xfff;
	if (vlan_id)
		frame->vlan_id = vlan_id;
	frame->network = ETHERNET_HEADER + VLAN_TAG;
	return tag->type;
}

static __always_inline bool is_plain_nd(struct frame *frame)
{
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	const __u8 *message = (const void *)(ipv6 + 1);
	if ((void *)(message + PLAIN_ND_SHORT) > frame->data_end || ipv6->version_class >> 4 != 6 || ipv6->next_header != NEXT_ICMPV6)
		return false;
	frame->icmpv6 = frame->network + IPV6_HEADER;
	frame->icmpv6_type = *message;
	if (*message == NEIGHBOUR_SOLICITATION || *message == NEIGHBOUR_ADVERTISEMENT)
		return ipv6->payload_length == swap16(PLAIN_ND_LONG) || ipv6->payload_length == swap16(PLAIN_ND_SHORT);
	__u16 length = swap16(ipv6->payload_length);
	return *message == ROUTER_ADVERTISEMENT && !(length % ND_UNIT) && length >= PLAIN_RA_HEADER_UNITS * ND_UNIT &&
	       length <= PLAIN_RA_MAX_UNITS * ND_UNIT;
}

/* What is left to see of a router's advertisement, which is dropped whatever it says: whether its options fill it, and its checksum. */
static __always_inline bool read_plain_ra(const struct frame *frame, const __u64 *unit, __u32 units, __u64 sum)
{
	__u64 left = 0; /* units still to come of the option we are in */
	sum += sum_words(unit, PLAIN_RA_HEADER_UNITS * 2);
#pragma clang loop unroll(full)
	for (__u32 i = PLAIN_RA_HEADER_UNITS; i < PLAIN_RA_MAX_UNITS; i++) {
		if (i >= units)
			break;
		if ((void *)(unit + i + 1) > frame->data_end)
			return false;
		sum += sum_unit(unit[i]);
		if (!left)
			left = unit[i] >> 8 & 0xff;
		if (!left)
			return false;
		left--;
	}
	return !left && is_intact(sum);
}

/* As read_nd, without a loop. */
static __always_inline bool read_plain_nd(const struct frame *frame, struct nd_message *message)
{
	const struct ethernet_header *ethernet = frame->data;
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	const __u64 *unit = (const void *)(ipv6 + 1);
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(unit + PLAIN_ND_SHORT / ND_UNIT) > frame->data_end)
		return false;
	if (ipv6->hop_limit != 255 || ((const __u8 *)unit)[1] /* code */)
		return false;
	/* The pseudo-header's length is that of four bytes whose upper two are zero. */
	__u64 sum = swap32(NEXT_ICMPV6) + ((__u64)ipv6->payload_length << 16);
	if (frame->icmpv6_type == ROUTER_ADVERTISEMENT)
		return read_plain_ra(frame, unit, swap16(ipv6->payload_length) / ND_UNIT, sum + sum_words(ipv6->source, 8));
	sum += sum_words(ipv6->source, (32 + PLAIN_ND_SHORT) / 4); /* addresses and message stand side by side */
	if (ipv6->payload_length == swap16(PLAIN_ND_LONG)) {
		if ((void *)(unit + PLAIN_ND_LONG / ND_UNIT) > frame->data_end)
			return false;
		__u64 option = unit[3];
		sum += sum_words(unit + 3, 2);
		if ((option >> 8 & 0xff) != 1)
			return false;
		if ((option & 0xff) == ND_OPTION_SOURCE_LLADDR) {
			message->source_lladdr_options = 1;
			message->source_lladdr_differs = (option >> 16) ^ (load_lladdr(ethernet->source) >> 16);
		}
	}
	return is_intact(sum);
}

#endif
