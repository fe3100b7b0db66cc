/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What nearly every frame is, told with the fewest instructions: TCP or UDP over IPv6, or IPv4, under one tag at most. Two loads of eight
 * bytes that overlap the headers, each compared under a mask, stand for a dozen loads and branches; a branch more here is a percent of the
 * whole cost of a frame. Says no whenever in doubt: whatever it does not know goes through the parser, which knows everything.
 */
#ifndef L3CTL_ORDINARY_H
#define L3CTL_ORDINARY_H

#include "parse.h"

/* Bytes 5 to 12 of a frame: behind one of the destination the source MAC, and the first byte of the EtherType. */
#define LINK_AT 5
#define LINK_IPV6 0x8600000000000000ULL
#define LINK_IPV4 0x0800000000000000ULL
#define LINK_TAGGED 0x8100000000000000ULL

/* The eight bytes from the EtherType's second on: with IPv6, its version is in the second and its next header is the last. */
#define PACKET_AT 13
#define PACKET6_MASK 0xff0000000000f0ffULL
#define PACKET6_TCP 0x06000000000060ddULL
#define PACKET6_UDP 0x11000000000060ddULL
#define PACKET4_MASK 0xffffULL
#define PACKET4 0x4500ULL /* no options: with them the header may be longer than the frame */

/* After a tag, the same stands four bytes further; of it, the TPID's second byte and the inner EtherType's first are compared here. */
#define TAG_MASK 0xff0000ffULL
#define TAG_IPV6 0x86000000ULL
#define TAG_IPV4 0x08000000ULL

#define SHORTEST (ETHERNET_HEADER + IPV6_HEADER) /* also of IPv4, whose frames are padded to 60 bytes on every wire */

static __always_inline bool is_packet6(__u64 word)
{
	word &= PACKET6_MASK;
	return word == PACKET6_TCP || word == PACKET6_UDP;
}

/* Source MAC not zero, and the first byte of the EtherType that of `kind`: one subtraction and one compare. The multicast bit is apart. */
#define SOURCE_UNIT 0x100ULL /* the lowest bit of the MAC's first byte: also the multicast bit */
#define IS_LINK(word, kind) (((word) ^ (kind)) - SOURCE_UNIT < (1ULL << 56) - SOURCE_UNIT)

/* Where the packet begins in an ordinary frame; 0: not one. */
static __always_inline __u32 ordinary_packet(void *data, void *data_end)
{
	if (data + SHORTEST > data_end)
		return 0;
	__u64 link = *(__u64 *)(data + LINK_AT);
	__u64 packet = *(__u64 *)(data + PACKET_AT);
	if (link & SOURCE_UNIT)
		return 0;
	if (IS_LINK(link, LINK_IPV6))
		return is_packet6(packet) ? ETHERNET_HEADER : 0;
	if (IS_LINK(link, LINK_IPV4))
		return (packet & PACKET4_MASK) == PACKET4 ? ETHERNET_HEADER : 0;
	if (!IS_LINK(link, LINK_TAGGED) || data + SHORTEST + VLAN_TAG > data_end)
		return 0;
	__u64 inner = *(__u64 *)(data + PACKET_AT + VLAN_TAG);
	if ((packet & TAG_MASK) == TAG_IPV6)
		return is_packet6(inner) ? ETHERNET_HEADER + VLAN_TAG : 0;
	if ((packet & TAG_MASK) == TAG_IPV4)
		return (inner & PACKET4_MASK) == PACKET4 ? ETHERNET_HEADER + VLAN_TAG : 0;
	return 0;
}

#endif
