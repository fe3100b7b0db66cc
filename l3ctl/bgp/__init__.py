"""Announcements: what ExaBGP runs (`relay`) and the agent's end of it (`speaker`)."""
