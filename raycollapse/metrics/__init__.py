"""Metrics: entropy, memorisation, quality and diversity of one generation."""

from typing import Annotated

from pydantic import Field

from raycollapse.metrics.base import Metric, Points
from raycollapse.metrics.entropy import EntropyMetric
from raycollapse.metrics.frechet import Frechet
from raycollapse.metrics.generalization import Generalization
from raycollapse.metrics.spread import Spread
from raycollapse.schema import Family

AnyMetric = Annotated[EntropyMetric | Spread | Generalization | Frechet, Field(discriminator="name"), Family(Metric)]

__all__ = ["AnyMetric", "EntropyMetric", "Frechet", "Generalization", "Metric", "Points", "Spread"]
