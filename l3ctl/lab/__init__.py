"""The lab: namespaces, peers and attackers for the demo, the tests and the benchmarks. Real kernel, real BIRD, real ExaBGP."""
