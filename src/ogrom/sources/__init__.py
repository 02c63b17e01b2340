"""Adapters to where data lives: SQL databases and search engines."""
