"""Selection strategies: what the next generation is trained on."""

from typing import Annotated

from pydantic import Field

from raycollapse.schema import Family
from raycollapse.selection.adaptive_threshold import AdaptiveThreshold
from raycollapse.selection.base import SelectionStrategy, TwoRoundStrategy
from raycollapse.selection.covariance_matching import CovarianceMatching
from raycollapse.selection.density_top import DensityTop
from raycollapse.selection.distributed_greedy import DistributedGreedy
from raycollapse.selection.greedy import Greedy
from raycollapse.selection.k_center_per_source import KCenterPerSource
from raycollapse.selection.k_means import KMeans
from raycollapse.selection.keep_all import KeepAll
from raycollapse.selection.pool import Features, Indices, Pool
from raycollapse.selection.threshold_decay import ThresholdDecay
from raycollapse.selection.uniform import Uniform

AnyStrategy = Annotated[
    KeepAll
    | Uniform
    | Greedy
    | ThresholdDecay
    | AdaptiveThreshold
    | DistributedGreedy
    | KCenterPerSource
    | KMeans
    | CovarianceMatching
    | DensityTop,
    Field(discriminator="name"),
    Family(SelectionStrategy),
]

__all__ = [
    "AdaptiveThreshold",
    "AnyStrategy",
    "CovarianceMatching",
    "DensityTop",
    "DistributedGreedy",
    "Features",
    "Greedy",
    "Indices",
    "KCenterPerSource",
    "KMeans",
    "KeepAll",
    "Pool",
    "SelectionStrategy",
    "ThresholdDecay",
    "TwoRoundStrategy",
    "Uniform",
]
