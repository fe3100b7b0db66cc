/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * From bytes to "what is this": link layer, tag, and the walk along IPv6 extension headers. Nothing here looks into a map: what cannot be
 * ARP or ND leaves with the least work, and what might be and cannot be read to its end has its reason already (fail closed).
 */
#ifndef L3CTL_PARSE_H
#define L3CTL_PARSE_H

#include "abi.h"

#define ETHERNET_HEADER 14
#define VLAN_TAG 4
#define IPV4_HEADER 20
#define IPV6_HEADER 40

#define ETHERTYPE_MIN 0x0600
#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_RARP 0x8035
#define ETHERTYPE_8021Q 0x8100
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_8021AD 0x88a8
#define ETHERTYPE_9100 0x9100

#define NEXT_HOP_BY_HOP 0
#define NEXT_TCP 6
#define NEXT_UDP 17
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTHENTICATION 51
#define NEXT_ICMPV6 58
#define NEXT_DESTINATION 60
#define NEXT_MOBILITY 135
#define NEXT_HIP 139
#define NEXT_SHIM6 140
#define NEXT_EXPERIMENT1 253 /* RFC 3692: may be extension headers, and say nothing of their length */
#define NEXT_EXPERIMENT2 254

#define MAX_EXTENSION_HEADERS 4

#define MLD_QUERY 130
#define ROUTER_SOLICITATION 133
#define ROUTER_ADVERTISEMENT 134
#define NEIGHBOUR_SOLICITATION 135
#define NEIGHBOUR_ADVERTISEMENT 136
#define ND_REDIRECT 137
#define INVERSE_NS 141
#define INVERSE_NA 142
#define CERTIFICATION_PATH_SOLICITATION 148
#define CERTIFICATION_PATH_ADVERTISEMENT 149
#define MULTICAST_ROUTER_FIRST 151 /* RFC 4286: advertisement, solicitation, termination */
#define MULTICAST_ROUTER_LAST 153

#define swap16(x) __builtin_bswap16(x)
#define swap32(x) __builtin_bswap32(x)
#define swap64(x) __builtin_bswap64(x)

enum frame_kind { FRAME_OTHER, FRAME_IPV4, FRAME_IPV6, FRAME_ARP, FRAME_ND };

struct frame {
	void *data;
	void *data_end;
	__u32 length;
	__u32 network; /* offset of the network header */
	__u32 icmpv6;  /* offset of the ICMPv6 header, for FRAME_ND */
	__u16 vlan_id;
	__u8 kind;
	__u8 stacked; /* there are two tags: for a QinQ port to read, for any other a reason to drop */
	__u8 icmpv6_type;
	__u8 nd_header; /* length of the ND message without its options */
};

struct ethernet_header {
	__u8 destination[6];
	__u8 source[6];
	__u16 type;
};

struct vlan_tag {
	__u16 control;
	__u16 type;
};

struct ipv6_header {
	__u8 version_class;
	__u8 class_flow[3];
	__u16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__u8 source[16];
	__u8 destination[16];
};

static __always_inline bool is_zero16(const void *address)
{
	const __u64 *word = address;
	return !(word[0] | word[1]);
}

static __always_inline bool equal16(const void *a, const void *b)
{
	const __u64 *x = a, *y = b;
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]));
}

/*
 * The MAC in the upper six bytes, to compare and to test. Loads two bytes more than it has: every MAC that is looked at has them behind it.
 * The empty asm keeps the compiler from making a mask of 64 bits of the shift, which takes an instruction more.
 */
static __always_inline __u64 load_lladdr(const void *lladdr)
{
	__u64 upper = *(const __u64 *)lladdr << 16;
	asm("" : "+r"(upper));
	return upper;
}

static __always_inline bool equal_lladdr(const void *a, const void *b)
{
	return load_lladdr(a) == load_lladdr(b);
}

static __always_inline bool is_bad_source(const void *lladdr)
{
	return *(const __u64 *)lladdr & 1 || !load_lladdr(lladdr);
}

static __always_inline bool is_nd(__u8 type)
{
	return (type >= ROUTER_SOLICITATION && type <= ND_REDIRECT) || type == INVERSE_NS || type == INVERSE_NA ||
	       type == CERTIFICATION_PATH_SOLICITATION || type == CERTIFICATION_PATH_ADVERTISEMENT;
}

static __always_inline bool is_router_multicast(__u8 type)
{
	return type == MLD_QUERY || (type >= MULTICAST_ROUTER_FIRST && type <= MULTICAST_ROUTER_LAST);
}

static __always_inline bool is_extension_header(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT || next == NEXT_AUTHENTICATION ||
	       next == NEXT_DESTINATION || next == NEXT_MOBILITY || next == NEXT_HIP || next == NEXT_SHIM6;
}

static __always_inline enum reason parse_icmpv6(struct frame *frame, __u32 offset, __u32 end, bool fragment)
{
	__u8 *type = frame->data + offset;
	if ((void *)(type + 1) > frame->data_end || offset >= end)
		return fragment ? REASON_EXT_HEADER : REASON_ND_MALFORMED;
	if (is_router_multicast(*type))
		return REASON_MLD_QUERY;
	if (!is_nd(*type))
		return REASON_NONE;
	if (fragment) /* RFC 6980, atomic fragments (RFC 6946) included */
		return REASON_ND_FRAGMENT;
	frame->kind = FRAME_ND;
	frame->icmpv6 = offset;
	frame->icmpv6_type = *type;
	return REASON_NONE;
}

/*
 * Walk to the upper-layer header (RFC 8200, 7112). Every extension header is at least 8 bytes long. The frame's length decides, and in a
 * first fragment its payload length too: what the frame holds behind that, the kernel cuts off, and the next fragment brings what really
 * stands there.
 */
static __always_inline enum reason parse_ipv6(struct frame *frame, __u8 next, __u16 payload_length)
{
	__u32 offset = frame->network + IPV6_HEADER;
	__u32 end = frame->length;
	bool fragment = false;

	frame->kind = FRAME_IPV6;
#pragma unroll
	for (int walked = 0; walked <= MAX_EXTENSION_HEADERS; walked++) {
		if (next == NEXT_TCP || next == NEXT_UDP)
			return REASON_NONE;
		if (next == NEXT_ICMPV6)
			return parse_icmpv6(frame, offset, end, fragment);
		if (next == NEXT_EXPERIMENT1 || next == NEXT_EXPERIMENT2)
			return REASON_EXT_HEADER;
		if (!is_extension_header(next))
			return REASON_NONE;
		if (walked == MAX_EXTENSION_HEADERS)
			return REASON_EXT_HEADER;

		__u8 *header = frame->data + offset;
		if ((void *)(header + 8) > frame->data_end || offset + 8 > end)
			return REASON_EXT_HEADER;
		if (next == NEXT_FRAGMENT) {
			if (swap16(*(__u16 *)(header + 2)) & 0xfff8) /* a later fragment: without its first it reassembles to nothing */
				return REASON_NONE;
			fragment = true;
			if (end > frame->network + IPV6_HEADER + swap16(payload_length))
				end = frame->network + IPV6_HEADER + swap16(payload_length);
			offset += 8;
		} else if (next == NEXT_AUTHENTICATION) {
			offset += (header[1] + 2) * 4;
		} else {
			offset += (header[1] + 1) * 8;
		}
		if (offset > end)
			return REASON_EXT_HEADER;
		next = header[0];
	}
	return REASON_EXT_HEADER;
}

static __always_inline bool is_inner_tag(__u16 type)
{
	return type == ETHERTYPE_8021Q || type == ETHERTYPE_8021AD || type == ETHERTYPE_9100;
}

static __always_inline enum reason parse_frame(struct frame *frame)
{
	struct ethernet_header *ethernet = frame->data;

	frame->kind = FRAME_OTHER;
	frame->stacked = false;
	frame->vlan_id = UNTAGGED;
	frame->network = ETHERNET_HEADER;
	if ((void *)(ethernet + 1) > frame->data_end)
		return REASON_TRUNCATED;

	__u16 type = swap16(ethernet->type);
	if (type == ETHERTYPE_8021Q || type == ETHERTYPE_8021AD) {
		struct vlan_tag *tag = (void *)(ethernet + 1);
		if ((void *)(tag + 1) > frame->data_end)
			return REASON_TRUNCATED;
		__u16 vlan_id = swap16(tag->control) & 0xfff;
		if (vlan_id) /* 0 is a priority tag: the frame belongs to no VLAN */
			frame->vlan_id = vlan_id;
		type = swap16(tag->type);
		frame->network += VLAN_TAG;
		if (is_inner_tag(type)) {
			if ((void *)(++tag + 1) > frame->data_end)
				return REASON_TRUNCATED;
			type = swap16(tag->type);
			frame->network += VLAN_TAG;
			frame->stacked = true;
			if (is_inner_tag(type)) /* a third one is for nobody */
				return frame->length < frame->network + VLAN_TAG ? REASON_TRUNCATED : REASON_VLAN_STACKED;
		}
	}
	if (type < ETHERTYPE_MIN)
		return REASON_LLC;

	__u8 *network = frame->data + frame->network;
	if (type == ETHERTYPE_IPV6) {
		struct ipv6_header *ipv6 = (void *)network;
		if ((void *)(ipv6 + 1) > frame->data_end)
			return REASON_TRUNCATED;
		if (is_bad_source(ethernet->source))
			return REASON_BAD_SOURCE_MAC;
		if (ipv6->version_class >> 4 != 6)
			return REASON_VERSION_MISMATCH;
		return parse_ipv6(frame, ipv6->next_header, ipv6->payload_length);
	}
	if (type == ETHERTYPE_IPV4) {
		if ((void *)(network + IPV4_HEADER) > frame->data_end)
			return REASON_TRUNCATED;
		__u32 header = (*network & 0xf) * 4;
		if (header > IPV4_HEADER && frame->network + header > frame->length)
			return REASON_TRUNCATED;
		if (is_bad_source(ethernet->source))
			return REASON_BAD_SOURCE_MAC;
		if (*network >> 4 != 4)
			return REASON_VERSION_MISMATCH;
		frame->kind = FRAME_IPV4;
		return REASON_NONE;
	}
	if (is_bad_source(ethernet->source))
		return REASON_BAD_SOURCE_MAC;
	if (type == ETHERTYPE_RARP)
		return REASON_RARP;
	if (type == ETHERTYPE_ARP)
		frame->kind = FRAME_ARP;
	return REASON_NONE;
}

#endif
