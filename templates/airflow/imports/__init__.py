"""Modules that DAGs import."""
