"""Removing stages that no experiment refers to."""

from raycollapse.cleaning.clean import clean

__all__ = ["clean"]
