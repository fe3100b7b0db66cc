"""The filter: compiled by bcc in a short-lived process, held by pins, spoken to through libbpf."""
