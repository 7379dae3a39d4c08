"""Running a network in batches: the conditions it runs under, and that they are put back."""

from typing import Any

import numpy as np
import pytest
import torch

from raycollapse.features.batches import embed_in_batches

IMAGES = np.arange(5 * 2 * 3, dtype=np.uint8).reshape(5, 2, 3, 1)


def _conditions() -> tuple[Any, ...]:
    cudnn = torch.backends.cudnn
    flags = (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32)
    return *flags, torch.get_float32_matmul_precision(), torch.get_num_threads(), torch.is_inference_mode_enabled()


def test_a_network_runs_in_full_float32_on_one_thread_and_all_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def embed(batch: torch.Tensor) -> torch.Tensor:
        seen.append(_conditions())
        return batch.flatten(1)

    torch.set_num_threads(2)
    torch.set_float32_matmul_precision("high")
    before = _conditions()
    try:
        embed_in_batches(IMAGES, 5, "cpu", embed)
        assert _conditions() == before
    finally:
        torch.set_num_threads(1)
        torch.set_float32_matmul_precision("highest")
    assert seen == [(True, False, True, False, "highest", 1, True)]


@pytest.mark.parametrize(("batch_size", "sizes"), [(2, [2, 2, 1]), (5, [5]), (64, [5])])
def test_batches_have_the_size_asked_for_and_keep_the_order(batch_size: int, sizes: list[int]) -> None:
    seen = []

    def embed(batch: torch.Tensor) -> torch.Tensor:
        assert batch.dtype == torch.uint8
        seen.append(tuple(batch.shape))
        return batch[:, :1].flatten(1)

    features = embed_in_batches(IMAGES, batch_size, "cpu", embed)
    assert seen == [(size, 3, 2, 3) for size in sizes]
    assert features.dtype == np.float32
    assert np.array_equal(features, IMAGES.reshape(5, 6))


def test_read_only_images_are_no_trouble() -> None:
    images = IMAGES.copy()
    images.flags.writeable = False
    assert len(embed_in_batches(images, 2, "cpu", lambda batch: batch.flatten(1))) == 5
