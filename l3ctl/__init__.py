"""l3ctl: a routed layer-3 network from what billing already knows."""

__version__ = "0.1.0"
