/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* Wanted by bcc for perf buffers, which the filter does not use. */
#define PAGE_SIZE 4096
