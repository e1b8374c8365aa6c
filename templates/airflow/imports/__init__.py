# The template's: its updates change this file, and keep what you change in it.
"""Modules that DAGs import."""
