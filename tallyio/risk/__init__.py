"""Limits that stand between an opportunity and a signature."""
