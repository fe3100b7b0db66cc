/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* bcc's proto.h names ETH_ALEN through this. */
#include <linux/types.h>
#define ETH_ALEN 6
