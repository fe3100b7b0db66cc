/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Instruction classes of classic BPF, which bcc's copy of linux/bpf.h builds its macros from. */
