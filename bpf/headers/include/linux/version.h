/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Wanted by bcc for kprobes, which check it; an XDP program's version is not checked. */
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + (c))
#define LINUX_VERSION_CODE KERNEL_VERSION(6, 1, 0)
