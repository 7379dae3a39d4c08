"""Canonical JSON, its hash, and the seal: the hash of a document, kept in it.

Files of stages are verified by the hashes in the manifest. What has nobody to vouch for it, the manifest itself and the
records of trials, bears its own hash, so that a byte that has turned into another is found there too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from raycollapse.schema import Json

SEAL = "seal"
"""The field of a document that holds the hash of all others; documents of earlier versions have none."""


class BrokenSealError(ValueError):
    """A document is not as it was written."""


def canonical_json(value: Json) -> bytes:
    """Return the one JSON text that stands for a value: sorted keys, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [1.5, None]})
    b'{"a":[1.5,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def content_key(value: Json) -> str:
    """Return the SHA-256 of a value's canonical JSON."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def sealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document with its seal."""
    own: Json = json.loads(json.dumps(document))  # as it will be read: keys that are numbers become text, and sort so
    return {**document, SEAL: content_key(own)}


def unsealed(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a JSON document without its seal; BrokenSealError if it is not what was sealed."""
    own = {name: value for name, value in document.items() if name != SEAL}
    if SEAL in document and document[SEAL] != _key(own):
        raise BrokenSealError("it was altered: its hash differs")
    return own


def _key(document: dict[str, Any]) -> str | None:
    try:
        return content_key(document)
    except ValueError:  # an infinity, which nobody has sealed
        return None


class Sealed(BaseModel):
    """A document that bears its seal in its file, and is refused where that is broken."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _is_as_it_was_written(cls, raw: Any) -> Any:
        return unsealed(raw) if isinstance(raw, Mapping) else raw

    def sealed_json(self, indent: int | None = None) -> str:
        """Return it as text, with its seal."""
        return json.dumps(sealed(self.model_dump(mode="json")), indent=indent)
