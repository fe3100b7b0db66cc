"""The inventory: sources yield records, one schema validates them, ports come out."""
