/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* bcc brings its own copy of what it needs from here. */
#include <linux/types.h>
