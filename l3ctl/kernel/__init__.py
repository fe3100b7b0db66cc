"""Neighbours, routes, links and addresses. The only room that speaks netlink."""
