/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * What nearly every frame is, told with the fewest instructions: TCP or UDP over IPv6, or IPv4, under one tag at most. An instruction more
 * here is a quarter of a percent of the whole cost of a frame, a branch that is taken one percent. So every load holds as many fields as are
 * compared together, and is made again where keeping it would cost a copy. Says no whenever in doubt: whatever it does not know goes
 * through the parser, which knows everything.
 */
#ifndef L3CTL_ORDINARY_H
#define L3CTL_ORDINARY_H

#include "parse.h"

#define SHORTEST (ETHERNET_HEADER + IPV6_HEADER) /* also of IPv4, whose frames are padded to 60 bytes on every wire */

/* Four bytes from the EtherType on, or from the one within the tag. */
#define LINK_IPV6_MASK 0x00f0ffff
#define LINK_IPV6 0x0060dd86
#define LINK_IPV4_MASK 0x00ffffff
#define LINK_IPV4 0x00450008 /* no options: with them the header may be longer than the frame */
#define LINK_TAGGED_MASK 0xffff
#define LINK_TAGGED 0x0081

#define LINK(data, at) (*(const volatile __u32 *)((data) + (at)))
#define NEXT_HEADER(data, packet) (*(const __u8 *)((data) + (packet) + 6))

/* Whether the packet at this offset may come from where it says it does; asked of ordinary frames alone. */
static __always_inline bool is_welcome(const struct xdp_md *context, const void *data, __u32 packet, bool ipv4);

/*
 * Leave the program here and now. The compiler would jump to the one exit it makes at the very end; and the kernel's translator puts the way
 * out where the first exit stands, so it is that of the first kind below.
 */
#define PASS_AT_ONCE()                                       \
	do {                                                 \
		asm volatile("r0 = %0\n\texit" : : "i"(XDP_PASS)); \
		__builtin_unreachable();                     \
	} while (0)

/* Pass the frame if it is an ordinary one; else come back. */
static __always_inline void pass_ordinary(const struct xdp_md *context, const void *data, const void *data_end)
{
	if (data + SHORTEST > data_end || is_bad_source(data + 6))
		return;
	if ((LINK(data, 12) & LINK_IPV6_MASK) == LINK_IPV6) {
		__u8 next = NEXT_HEADER(data, ETHERNET_HEADER);
		if ((next == NEXT_TCP || next == NEXT_UDP) && is_welcome(context, data, ETHERNET_HEADER, false))
			PASS_AT_ONCE();
		return;
	}
	if ((LINK(data, 12) & LINK_IPV4_MASK) == LINK_IPV4) {
		if (is_welcome(context, data, ETHERNET_HEADER, true))
			PASS_AT_ONCE();
		return;
	}
	if ((LINK(data, 12) & LINK_TAGGED_MASK) != LINK_TAGGED || data + SHORTEST + VLAN_TAG > data_end)
		return;
	if ((LINK(data, 16) & LINK_IPV6_MASK) == LINK_IPV6) {
		__u8 next = NEXT_HEADER(data, ETHERNET_HEADER + VLAN_TAG);
		if ((next == NEXT_TCP || next == NEXT_UDP) && is_welcome(context, data, ETHERNET_HEADER + VLAN_TAG, false))
			PASS_AT_ONCE();
		return;
	}
	if ((LINK(data, 16) & LINK_IPV4_MASK) == LINK_IPV4 && is_welcome(context, data, ETHERNET_HEADER + VLAN_TAG, true))
		PASS_AT_ONCE();
}

#endif
