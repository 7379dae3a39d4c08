"""Stages: the verbs of the loop, each found in the store by what made it."""
