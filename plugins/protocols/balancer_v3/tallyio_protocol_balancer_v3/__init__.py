"""Weighted and stable pools of Balancer V3, behind its Vault."""
