"""Content-addressed storage of stages."""

from raycollapse.store.manifest import Manifest
from raycollapse.store.seal import content_key
from raycollapse.store.store import Store

__all__ = ["Manifest", "Store", "content_key"]
