"""Notices to chat services and mail through Apprise."""
