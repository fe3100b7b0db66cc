/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* The verdict on a neighbour discovery message (RFC 4861, 4862). Needs the look-ups of l3ctl.bpf.c above it. */
#ifndef L3CTL_ND_H
#define L3CTL_ND_H

#include "parse.h"

#define ND_UNIT 8 /* options, and all message headers but one, are counted in units of 8 bytes */
#define ND_MAX_HEADER_UNITS 5 /* a redirect's */
#define ND_MAX_UNITS 182 /* of options: what fits a frame of 1500 bytes; a longer message cannot be read to its end here */
#define ND_OPTION_SOURCE_LLADDR 1
#define ND_TARGET 8 /* of a solicitation, and of an advertisement */
#define NA_FLAG_SOLICITED 0x40

struct nd_message {
	__u64 source_lladdr_options; /* how many */
	__u64 source_lladdr_differs; /* one of them is not the frame's source MAC, or not the one unit that Ethernet wants */
};

/*
 * 1 where the number is not 0, else 0, without a branch: were there branches in the loop below, the verifier would follow every combination
 * of them through every unit. The empty asm keeps the compiler from making one.
 */
static __always_inline __u64 is_nonzero(__u64 number)
{
	number |= -number;
	asm volatile("" : "+r"(number));
	return number >> 63;
}

static __always_inline __u32 nd_header_length(__u8 type)
{
	if (type == NEIGHBOUR_SOLICITATION || type == NEIGHBOUR_ADVERTISEMENT)
		return 24;
	if (type == ROUTER_ADVERTISEMENT)
		return 16;
	if (type == ND_REDIRECT)
		return 40;
	if (type == CERTIFICATION_PATH_ADVERTISEMENT)
		return 12;
	return 8;
}

static __always_inline __u64 sum_words(const void *data, int words)
{
	const __u32 *word = data;
	__u64 sum = 0;
#pragma clang loop unroll(full) vectorize(disable)
	for (int i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

/*
 * Whether a sum over a checksum too is that of an intact message (RFC 1071): all ones once folded to 16 bits, which is to say that 65535
 * divides it. So it does where its product with the inverse of 65535 modulo 2^64 is among the least: two instructions, and no folding. The
 * sum is never 0, which 65535 divides too: there is the pseudo-header's next header in it.
 */
static __always_inline bool is_intact(__u64 sum)
{
	return sum * 0xfffefffefffeffffULL <= 0xffffffffffffffffULL / 0xffff;
}

static __always_inline __u16 fold_sum(__u64 sum)
{
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 32) + (sum & 0xffffffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	sum = (sum >> 16) + (sum & 0xffff);
	return sum;
}

/* Else the compiler works out from the pointers how often a loop runs, with arithmetic that the verifier forbids on them. */
#define KEEP_POINTER(pointer) asm volatile("" : "+r"(pointer))

static __always_inline __u64 sum_unit(__u64 unit)
{
	return (unit & 0xffffffff) + (unit >> 32);
}

/*
 * Checksum and options together, in units of 8 bytes, with one path through the loop. False: malformed. A SEND path advertisement (type
 * 149) has a header of 12 bytes; it is dropped whatever its options say, so they are only summed.
 */
static __always_inline bool read_nd(const struct frame *frame, struct nd_message *message)
{
	const struct ethernet_header *ethernet = frame->data;
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(ipv6 + 1) > frame->data_end)
		return false;

	__u32 end = frame->network + IPV6_HEADER + swap16(ipv6->payload_length);
	__u32 header = frame->nd_header;
	if (ipv6->hop_limit != 255 || end > frame->length || end < frame->icmpv6 + header)
		return false;
	__u32 length = end - frame->icmpv6;
	__u32 tail = length % ND_UNIT;
	if (tail != header % ND_UNIT)
		return false;

	const __u8 *unit = frame->data + frame->icmpv6;
	if ((void *)(unit + ND_UNIT) > frame->data_end || unit[1] /* code */)
		return false;

	__u64 source = 0; /* the frame's, as an option's unit holds it */
	__builtin_memcpy((__u8 *)&source + 2, ethernet->source, 6);
	source = swap64(source);
	__u64 sum = sum_words(ipv6->source, 8) + swap32(length) + swap32(NEXT_ICMPV6);
	for (__u32 i = 0; i < ND_MAX_HEADER_UNITS; i++) {
		if (i >= header / ND_UNIT)
			break;
		KEEP_POINTER(unit);
		if ((void *)(unit + ND_UNIT) > frame->data_end)
			return false;
		sum += sum_unit(*(const __u64 *)unit);
		unit += ND_UNIT;
	}

	__u32 units = (length - header) / ND_UNIT;
	__u64 left = 0; /* units still to come of the option we are in */
	__u64 zero_length = 0;
	for (__u32 i = 0; i < ND_MAX_UNITS; i++) {
		if (i >= units)
			break;
		KEEP_POINTER(unit);
		if ((void *)(unit + ND_UNIT) > frame->data_end)
			return false;
		__u64 content = *(const __u64 *)unit;
		sum += sum_unit(content);
		content = swap64(content);
		__u64 length = content >> 48 & 0xff;
		__u64 first = 1 - is_nonzero(left);
		__u64 names_source = first & (1 - is_nonzero(content >> 56 ^ ND_OPTION_SOURCE_LLADDR));
		message->source_lladdr_options += names_source;
		message->source_lladdr_differs |= names_source & (is_nonzero((content ^ source) << 16) | is_nonzero(length ^ 1));
		left += first * length;
		zero_length |= 1 - is_nonzero(left);
		left--;
		unit += ND_UNIT;
	}
	if (units > ND_MAX_UNITS || (!tail && (left || zero_length)))
		return false;
	if (tail) {
		if ((void *)(unit + 4) > frame->data_end)
			return false;
		sum += *(const __u32 *)unit;
	}
	return is_intact(sum);
}

/* ff02::1:ffXX:XXXX with the last three bytes of the target (RFC 4291, 2.7.1). */
static __always_inline bool is_solicited_node(const __u8 *group, const __u8 *target)
{
	const __u64 *word = (const void *)group, *wanted = (const void *)target;
	return word[0] == swap64(0xff02000000000000) && word[1] << 24 == swap64(0x00000001ff000000) << 24 && !((word[1] ^ wanted[1]) >> 40);
}

/* An advertisement that answers the agent's probe (RFC 4861, 7.2.4): solicited, for an address billed to whom it comes from, to a gateway. */
static __always_inline bool answers_probe(const struct frame *frame, const struct port *port, __u32 index, const __u8 *link_local)
{
	const struct ethernet_header *ethernet = frame->data;
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	const __u8 *message = frame->data + frame->icmpv6;
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(ipv6 + 1) > frame->data_end || (void *)(message + 24) > frame->data_end)
		return false;
	const __u8 *target = message + ND_TARGET;
	if (!is_asked(port, index) || !(message[4] & NA_FLAG_SOLICITED) || !is_gateway_ipv6(port, index, ipv6->destination))
		return false;
	if (!equal16(ipv6->source, link_local) && !is_billed_ipv6(port, index, ethernet->source, ipv6->source))
		return false;
	return equal16(target, link_local) || is_billed_ipv6(port, index, ethernet->source, target);
}

static __always_inline enum reason nd_verdict(const struct frame *frame, const struct nd_message *message, const struct port *port, __u32 index)
{
	const struct ethernet_header *ethernet = frame->data;
	const struct ipv6_header *ipv6 = frame->data + frame->network;
	if ((void *)(ethernet + 1) > frame->data_end || (void *)(ipv6 + 1) > frame->data_end)
		return REASON_ND_MALFORMED;
	const __u8 *link_local = find_host(port, index, ethernet->source);
	if (!link_local)
		return REASON_ND_MAC_SPOOF;

	__u8 type = frame->icmpv6_type;
	if (type == NEIGHBOUR_ADVERTISEMENT) /* ours are permanent: the kernel never asks */
		return answers_probe(frame, port, index, link_local) ? REASON_PROBE_ANSWER : REASON_NA_UNSOLICITED;
	if (type == ROUTER_ADVERTISEMENT)
		return REASON_RA_ROGUE;
	if (type == ND_REDIRECT)
		return REASON_REDIRECT;
	if (type != NEIGHBOUR_SOLICITATION && type != ROUTER_SOLICITATION)
		return REASON_ND_TYPE;

	bool solicits_neighbour = type == NEIGHBOUR_SOLICITATION;
	bool unspecified = is_zero16(ipv6->source);
	/* No prefix that is billed has any of fe80::/10 in it, and floods come from there: they are spared the look-up in the trie. */
	bool may_be_billed = solicits_neighbour && (*(const __u16 *)ipv6->source & swap16(0xffc0)) != swap16(0xfe80);
	if (!unspecified && !equal16(ipv6->source, link_local) &&
	    !(may_be_billed && is_billed_ipv6(port, index, ethernet->source, ipv6->source)))
		return REASON_ND_IP_SPOOF;
	if (message->source_lladdr_options > 1)
		return REASON_ND_LLADDR_MISMATCH;
	if (message->source_lladdr_options && (unspecified || message->source_lladdr_differs))
		return REASON_ND_LLADDR_MISMATCH;
	if (!solicits_neighbour)
		return port->flags & PORT_PASS_ROUTER_SOLICITATIONS ? REASON_NONE : REASON_RS;

	const __u8 *target = frame->data + frame->icmpv6 + ND_TARGET;
	if ((void *)(target + 16) > frame->data_end)
		return REASON_ND_MALFORMED;
	bool to_group = is_solicited_node(ipv6->destination, target);
	if (!to_group && (unspecified || !equal16(ipv6->destination, target)))
		return REASON_ND_DESTINATION;
	if (is_gateway_ipv6(port, index, target))
		return REASON_NS_ANSWER;
	return unspecified ? REASON_NS_DAD : REASON_NS_TARGET;
}

#endif
