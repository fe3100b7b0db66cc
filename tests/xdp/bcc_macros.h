/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* What bcc's preprocessor gives the filter, for a plain clang to check its syntax with every warning on. Nothing is compiled from this. */
#include <linux/types.h>

enum { XDP_DROP = 1, XDP_PASS, XDP_TX };

struct xdp_md {
	__u32 data;
	__u32 data_end;
	__u32 data_meta;
	__u32 ingress_ifindex;
};

#define DECLARE_MAP(name, key_type, value_type) \
	struct {                                \
		value_type *(*lookup)(key_type *); \
	} name

#define BPF_RINGBUF_OUTPUT(name, pages)                  \
	struct {                                         \
		void *(*ringbuf_reserve)(__u64 size);    \
		void (*ringbuf_submit)(void *, __u64);   \
	} name

#define BPF_ARRAY(name, value_type, size) DECLARE_MAP(name, __u32, value_type)
#define BPF_PERCPU_ARRAY(name, value_type, size) DECLARE_MAP(name, __u32, value_type)
#define BPF_TABLE(kind, key_type, value_type, name, size) DECLARE_MAP(name, key_type, value_type)
#define BPF_F_TABLE(kind, key_type, value_type, name, size, flags) DECLARE_MAP(name, key_type, value_type)
#define BPF_ARRAY_OF_MAPS(name, inner, size) DECLARE_MAP(name, __u32, void)
#define BPF_LPM_TRIE(name, key_type, value_type, size) DECLARE_MAP(name, key_type, value_type)

void *bpf_map_lookup_elem(void *map, void *key);
int bpf_xdp_load_bytes(struct xdp_md *context, __u32 offset, void *to, __u32 length);
int bpf_xdp_adjust_tail(struct xdp_md *context, int delta);
__u64 bpf_ktime_get_coarse_ns(void);
