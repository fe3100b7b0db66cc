/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/* bcc's own header defines what it uses. */
