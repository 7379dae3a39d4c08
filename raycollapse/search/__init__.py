"""A search: Optuna suggests the values of some fields, trial after trial, from what earlier trials came to."""

from raycollapse.search.settings import Search

__all__ = ["Search"]
