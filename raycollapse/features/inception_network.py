"""Inception-v3 up to its pooled 2,048 features, in two variants that share one layout of weights.

Szegedy et al., Rethinking the Inception Architecture for Computer Vision, 2016. `fid` is the network of Heusel et al.
2017, trained in TensorFlow in 2015: its average pools count no padding, and its last block takes a maximum.
`torchvision` is PyTorch's own. The names of modules are those of both published files of weights.
"""

from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Variant = Literal["fid", "torchvision"]
Size = int | tuple[int, int]


class Convolution(nn.Module):
    """Convolution without bias, batch normalisation, rectification."""

    def __init__(self, num_in: int, num_out: int, size: Size, stride: int = 1, padding: Size = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(num_in, num_out, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(num_out, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.bn(self.conv(x)), inplace=True)


class Block(nn.Module):
    """Branches side by side: each a chain of named convolutions, or a pool, whose outputs are joined by channel."""

    def __init__(self, branches: "list[Branch]", pool: nn.Module, pool_at: int, fork: bool = False) -> None:
        """Remember the branches.

        Args:
            branches: chains of (name, convolution).
            pool: applied before the branch at `pool_at`, or by itself where that has no convolutions.
            pool_at: which branch pools.
            fork: the last two convolutions of a chain of `*a` and `*b` names both read what precedes them.
        """
        super().__init__()
        for branch in branches:
            for name, convolution in branch:
                self.add_module(name, convolution)
        self._chains = [[name for name, _ in branch] for branch in branches]
        self._pool, self._pool_at, self._fork = pool, pool_at, fork

    def forward(self, x: Tensor) -> Tensor:
        outputs = [
            self._chain(names, self._pool(x) if index == self._pool_at else x)
            for index, names in enumerate(self._chains)
        ]
        return torch.cat(outputs, dim=1)

    def _chain(self, names: list[str], x: Tensor) -> Tensor:
        forks = self._fork and len(names) > 1
        for name in names[:-2] if forks else names:
            x = self.get_submodule(name)(x)
        return torch.cat([self.get_submodule(name)(x) for name in names[-2:]], dim=1) if forks else x


Branch = list[tuple[str, Convolution]]


class InceptionV3(nn.Module):
    """Maps images (n, 3, 299, 299), scaled to [-1, 1], to features (n, 2048)."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        average = partial(nn.AvgPool2d, 3, 1, 1, count_include_pad=variant == "torchvision")
        self.Conv2d_1a_3x3 = Convolution(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Convolution(32, 32, 3)
        self.Conv2d_2b_3x3 = Convolution(32, 64, 3, padding=1)
        self.pool_1 = nn.MaxPool2d(3, 2)
        self.Conv2d_3b_1x1 = Convolution(64, 80, 1)
        self.Conv2d_4a_3x3 = Convolution(80, 192, 3)
        self.pool_2 = nn.MaxPool2d(3, 2)
        for name, num_in, num_pool in (("5b", 192, 32), ("5c", 256, 64), ("5d", 288, 64)):
            self.add_module(f"Mixed_{name}", _block_35(num_in, num_pool, average()))
        self.Mixed_6a = _reduce_to_17(288)
        for name, width in (("6b", 128), ("6c", 160), ("6d", 160), ("6e", 192)):
            self.add_module(f"Mixed_{name}", _block_17(768, width, average()))
        self.Mixed_7a = _reduce_to_8(768)
        self.Mixed_7b = _block_8(1280, average())
        self.Mixed_7c = _block_8(2048, nn.MaxPool2d(3, 1, 1) if variant == "fid" else average())

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x.mean(dim=(2, 3))


def _block_35(num_in: int, num_pool: int, pool: nn.Module) -> Block:
    """On maps of 35 x 35."""
    return Block(
        [
            [("branch1x1", Convolution(num_in, 64, 1))],
            [("branch5x5_1", Convolution(num_in, 48, 1)), ("branch5x5_2", Convolution(48, 64, 5, padding=2))],
            [
                ("branch3x3dbl_1", Convolution(num_in, 64, 1)),
                ("branch3x3dbl_2", Convolution(64, 96, 3, padding=1)),
                ("branch3x3dbl_3", Convolution(96, 96, 3, padding=1)),
            ],
            [("branch_pool", Convolution(num_in, num_pool, 1))],
        ],
        pool,
        pool_at=3,
    )


def _reduce_to_17(num_in: int) -> Block:
    return Block(
        [
            [("branch3x3", Convolution(num_in, 384, 3, stride=2))],
            [
                ("branch3x3dbl_1", Convolution(num_in, 64, 1)),
                ("branch3x3dbl_2", Convolution(64, 96, 3, padding=1)),
                ("branch3x3dbl_3", Convolution(96, 96, 3, stride=2)),
            ],
            [],
        ],
        nn.MaxPool2d(3, 2),
        pool_at=2,
    )


def _block_17(num_in: int, width: int, pool: nn.Module) -> Block:
    """On maps of 17 x 17, with kernels of 1 x 7 and 7 x 1."""
    row = partial(Convolution, size=(1, 7), padding=(0, 3))
    column = partial(Convolution, size=(7, 1), padding=(3, 0))
    return Block(
        [
            [("branch1x1", Convolution(num_in, 192, 1))],
            [
                ("branch7x7_1", Convolution(num_in, width, 1)),
                ("branch7x7_2", row(width, width)),
                ("branch7x7_3", column(width, 192)),
            ],
            [
                ("branch7x7dbl_1", Convolution(num_in, width, 1)),
                ("branch7x7dbl_2", column(width, width)),
                ("branch7x7dbl_3", row(width, width)),
                ("branch7x7dbl_4", column(width, width)),
                ("branch7x7dbl_5", row(width, 192)),
            ],
            [("branch_pool", Convolution(num_in, 192, 1))],
        ],
        pool,
        pool_at=3,
    )


def _reduce_to_8(num_in: int) -> Block:
    return Block(
        [
            [("branch3x3_1", Convolution(num_in, 192, 1)), ("branch3x3_2", Convolution(192, 320, 3, stride=2))],
            [
                ("branch7x7x3_1", Convolution(num_in, 192, 1)),
                ("branch7x7x3_2", Convolution(192, 192, (1, 7), padding=(0, 3))),
                ("branch7x7x3_3", Convolution(192, 192, (7, 1), padding=(3, 0))),
                ("branch7x7x3_4", Convolution(192, 192, 3, stride=2)),
            ],
            [],
        ],
        nn.MaxPool2d(3, 2),
        pool_at=2,
    )


def _block_8(num_in: int, pool: nn.Module) -> Block:
    """On maps of 8 x 8; two chains end in a fork of 1 x 3 and 3 x 1."""
    row = partial(Convolution, size=(1, 3), padding=(0, 1))
    column = partial(Convolution, size=(3, 1), padding=(1, 0))
    return Block(
        [
            [("branch1x1", Convolution(num_in, 320, 1))],
            [
                ("branch3x3_1", Convolution(num_in, 384, 1)),
                ("branch3x3_2a", row(384, 384)),
                ("branch3x3_2b", column(384, 384)),
            ],
            [
                ("branch3x3dbl_1", Convolution(num_in, 448, 1)),
                ("branch3x3dbl_2", Convolution(448, 384, 3, padding=1)),
                ("branch3x3dbl_3a", row(384, 384)),
                ("branch3x3dbl_3b", column(384, 384)),
            ],
            [("branch_pool", Convolution(num_in, 192, 1))],
        ],
        pool,
        pool_at=3,
        fork=True,
    )
