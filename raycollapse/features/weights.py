"""Published files of weights: found on this machine, downloaded where there is a network, known by their content."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raycollapse.errors import RequestError
from raycollapse.features.files import content_hash

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class PublishedWeights:
    """One file that everybody means when they name the network."""

    what: str
    url: str
    sha256_prefix: str

    @property
    def file_name(self) -> str:
        """The name it is published, and cached, under."""
        return self.url.rpartition("/")[2]

    def cached_at(self) -> Path:
        """Return where PyTorch's hub, and the packages that use the same file, keep it."""
        import torch

        return Path(torch.hub.get_dir()) / "checkpoints" / self.file_name

    def load(self, path: Path | None) -> dict[str, "Tensor"]:
        """Return the arrays by name, from this file, or from the cache, where it is downloaded to if it is missing."""
        import torch

        state: dict[str, Tensor] = torch.load(self.find(path), map_location="cpu", weights_only=True)
        return state

    def find(self, path: Path | None) -> Path:
        """Return this file, or the one in the cache, where it is downloaded to if it is missing; its hash is checked.

        Raises:
            RequestError: it is not to be had, or holds something else.
        """
        file = path or self._cached()
        found = content_hash(file)
        if not found.startswith(self.sha256_prefix):
            raise RequestError(
                f"{file} does not hold {self.what}: its SHA-256 starts with {found[:8]} and not with "
                f"{self.sha256_prefix}. Put {self.url} in its place."
            )
        return file

    def _cached(self) -> Path:
        import torch

        cached = self.cached_at()
        if not cached.exists():
            cached.parent.mkdir(parents=True, exist_ok=True)
            try:
                torch.hub.download_url_to_file(self.url, str(cached), self.sha256_prefix, progress=False)
            except (OSError, RuntimeError) as error:  # no network; another hash
                raise RequestError(self._unavailable(error)) from error
        return cached

    def _unavailable(self, error: Exception) -> str:
        return (
            f"{self.what} are not at {self.cached_at()}, and cannot be downloaded ({error}). Fetch them beforehand "
            f"where there is a network, curl -L -O {self.url}, and put them there on every machine, or anywhere and "
            "set the extractor's `weights` to the file."
        )
