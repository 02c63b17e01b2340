"""Ogrom: an HTTP API in front of your data, declared as values."""
