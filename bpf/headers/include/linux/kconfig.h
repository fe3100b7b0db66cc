/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* bcc includes this before anything else, and insists on one option. */
#define CONFIG_BPF_SYSCALL 1
