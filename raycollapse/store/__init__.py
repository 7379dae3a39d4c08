"""Content-addressed storage of stages."""

from raycollapse.store.manifest import Manifest, content_key
from raycollapse.store.store import Store

__all__ = ["Manifest", "Store", "content_key"]
