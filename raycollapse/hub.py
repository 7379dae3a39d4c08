"""The Hugging Face hub, as data sets and models see it: what can go wrong, where things are cached, what is pinned.

Nothing heavy is imported here: a configuration is read without the hub's libraries.
"""

import os
import re
from pathlib import Path


def is_commit(revision: str) -> bool:
    """Whether a revision is a commit's full hash, which always means the same content.

    >>> is_commit("main"), is_commit("0b2714987fa478483af9968de7c934580d0bb9a2")
    (False, True)
    """
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def cache_folder() -> Path:
    """Return where the hub's libraries keep what they downloaded."""
    return Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()


def hub_failures() -> tuple[type[Exception], ...]:
    """Return what the hub's libraries raise for an unknown name or revision, a missing network, a broken download.

    Their HTTP client differs between versions (requests, httpx, ...); its errors are the bases of the hub's own.
    """
    from huggingface_hub.errors import HfHubHTTPError

    own = tuple(base for base in HfHubHTTPError.__bases__ if issubclass(base, Exception))
    return (OSError, ValueError, ImportError, *own)
