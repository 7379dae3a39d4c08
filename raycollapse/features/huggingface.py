"""Vision models of the Hugging Face hub as feature spaces; by default the paper's, DINOv2 ViT-S/14.

Oquab et al., DINOv2: Learning Robust Visual Features without Supervision, 2023.
"""

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from raycollapse.features.base import FeatureExtractor
from raycollapse.features.batches import check_images, embed_in_batches
from raycollapse.features.files import content_hash
from raycollapse.features.vision_models import Pooling, load_preprocessing, load_vision_model
from raycollapse.schema import Json

_KNOWN_REVISIONS = {"facebook/dinov2-small": "ed25f3a31f01632728cabb09d1542f84ab7b0056"}
_SHORT_NAMES = {"dinov2_small": "dinov2"}


class HuggingFace(FeatureExtractor):
    """Features of a vision model (DINOv2, DINOv3, CLIP, ...), of images prepared as its own processor prepares them."""

    name: Literal["huggingface"] = "huggingface"

    model: str = Field(default="facebook/dinov2-small", min_length=1)
    """A model's name on the hub, or a local folder with `config.json`, `preprocessor_config.json` and
    `model.safetensors`. The content of a folder identifies it, not where it lies."""
    revision: str | None = None
    """The hub's revision of the model. A commit's hash always means the same weights; a branch such as `main` may come
    to mean others. None: the commit known here, which the default model alone has; a local folder has none."""
    pooling: Pooling = "cls"
    """`cls`: the CLS token of the last hidden state; `mean`: the mean over its patches; `pooler`: the model's own."""
    normalise: bool = False
    """Scale every feature vector to length 1, so that L2 distances order as cosine distances do."""
    batch_size: int = Field(default=64, gt=0)
    """Images at a time; another number changes last bits."""
    space_name: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9_]*$")
    """What metrics call this space, as in `quality/fd_dinov2`; none: `dinov2` for DINOv2 small, else the model's name
    without its owner."""

    @field_validator("model")
    @classmethod
    def _resolved(cls, model: str) -> str:
        """Trials may run in other folders, so a path is resolved at once."""
        path = Path(model).expanduser()
        if path.is_dir():
            return str(path.resolve())
        if path.is_absolute() or model.startswith((".", "~")):
            raise ValueError(f"there is no folder {path.absolute()}; it must be one, or a model's name on the hub")
        if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", model):
            raise ValueError("it must be a model's name on the hub (owner/name), or a local folder")
        return model

    @model_validator(mode="after")
    def _revision_is_known(self) -> "HuggingFace":
        if self._is_local and self.revision is not None:
            raise ValueError(f"revision is {self.revision}, but model is a local folder, which has none; leave it out")
        if not self._is_local and self._revision is None:
            raise ValueError(
                f"revision is missing: {self.model} on the hub can change; give a commit's hash, or a branch such as "
                "main if that may happen"
            )
        return self

    @property
    def _is_local(self) -> bool:
        return Path(self.model).is_absolute()

    @property
    def _revision(self) -> str | None:
        return self.revision or _KNOWN_REVISIONS.get(self.model)

    @property
    def space(self) -> str:
        name = re.sub(r"[^a-z0-9]+", "_", Path(self.model).name.lower()).strip("_")
        return self.space_name or _SHORT_NAMES.get(name, name)

    def extract(self, images: NDArray[Any], device: str = "cpu") -> NDArray[np.float32]:
        model = load_vision_model(self.model, self._revision, self.pooling, device)
        features = embed_in_batches(images, self.batch_size, device, lambda batch: model.embed(batch, self.pooling))
        return _normalised(features) if self.normalise else features

    def preparation(self) -> dict[str, Json]:
        return load_preprocessing(self.model, self._revision).described()

    def check_ready(self) -> None:
        load_vision_model(self.model, self._revision, self.pooling, "cpu")

    def check_shape(self, shape: tuple[int, ...]) -> None:
        check_images(self.name, shape)

    def identity(self) -> dict[str, Json]:
        """The weights in the place of where they are: a hub's model at its revision, or a folder's content."""
        own = {field: value for field, value in super().identity().items() if field != "space_name"}
        weights: dict[str, Json] = (
            {"model": f"content {content_hash(Path(self.model))}"} if self._is_local else {"revision": self._revision}
        )
        return {**own, **weights, "space": self.space}


def _normalised(features: NDArray[np.float32]) -> NDArray[np.float32]:
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: NDArray[np.float32] = features / np.maximum(lengths, np.finfo(np.float32).tiny)
    return unit
