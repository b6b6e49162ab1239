"""Weighted and stable pools of Balancer V2, behind its Vault."""
