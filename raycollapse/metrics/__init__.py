"""Metrics: entropy, memorisation, quality and diversity of one generation."""

from typing import Annotated

from pydantic import Field

from raycollapse.metrics.base import Metric, Points
from raycollapse.metrics.data_copying import Ct
from raycollapse.metrics.entropy import EntropyMetric
from raycollapse.metrics.fidelity import Fidelity
from raycollapse.metrics.frechet import Fid, Frechet
from raycollapse.metrics.generalization import Generalization
from raycollapse.metrics.kernel import Kid
from raycollapse.metrics.memorization import Authenticity, DuplicatesMetric, GeneralizationRatio
from raycollapse.metrics.spread import Spread
from raycollapse.metrics.vendi import Vendi
from raycollapse.schema import Family

AnyMetric = Annotated[
    EntropyMetric | Spread | Vendi  # how wide and how dense
    | Generalization | GeneralizationRatio | Ct | Authenticity | DuplicatesMetric  # how new
    | Frechet | Fid | Kid | Fidelity,  # how real
    Field(discriminator="name"),
    Family(Metric),
]  # fmt: skip

__all__ = [
    "AnyMetric",
    "Authenticity",
    "Ct",
    "DuplicatesMetric",
    "EntropyMetric",
    "Fid",
    "Fidelity",
    "Frechet",
    "Generalization",
    "GeneralizationRatio",
    "Kid",
    "Metric",
    "Points",
    "Spread",
    "Vendi",
]
