/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * Frames that are no one port's. Whose they are nobody can say, so they go by what the ports of their netdev ask for together: dropped as
 * soon as one of them is enforced, else counted.
 */
#ifndef L3CTL_STRANGER_H
#define L3CTL_STRANGER_H

#include "parse.h"

/*
 * A priority tag in front of another tag. Linux takes the first off where no VLAN 0 is, goes by the next, and so on (CVE-2021-27853): who may
 * send untagged frames would be on any VLAN.
 */
static __always_inline bool is_priority_stack(const struct frame *frame)
{
	return frame->stacked && frame->vlan_id == UNTAGGED;
}

/* Why a frame of no port is dropped, or would be where a port is enforced. Harmless is what cannot be ARP or ND, under one tag at most. */
static __always_inline enum reason stranger_verdict(const struct frame *frame, const struct netdev *netdev, bool harmless)
{
	bool hidden = netdev->flags & NETDEV_MAY_HIDE_TAGS && frame->vlan_id == UNTAGGED;
	if (is_priority_stack(frame))
		return netdev->trunk ? REASON_VLAN_STACKED : REASON_NONE;
	if (harmless) /* nobody can say whose addresses it may have */
		return hidden && netdev->flags & NETDEV_GUARDED ? REASON_UNKNOWN_PORT : REASON_NONE;
	return hidden || netdev->flags & NETDEV_DROP_UNKNOWN_VLAN ? REASON_UNKNOWN_PORT : REASON_NONE;
}

static __always_inline bool refuses_strangers(const struct netdev *netdev, bool harmless)
{
	return netdev->flags & (harmless ? NETDEV_GUARD_ENFORCED : NETDEV_ENFORCED | NETDEV_DROP_UNKNOWN_VLAN);
}

#endif
