"""Distributed experiments on model collapse in self-consuming diffusion loops (arXiv 2509.16499)."""

__version__ = "0.1.0"
