"""Training on several workers: they synchronise, agree, and learn what one worker learns."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from raycollapse.diffusion import MlpDenoiser
from raycollapse.diffusion.checkpoints import FolderCheckpoints, NoCheckpoints
from raycollapse.diffusion.trainer import train
from raycollapse.diffusion.training import Training

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
MLP = MlpDenoiser(width=16, num_blocks=1)
LABELS = np.arange(20) % 3
CONDITIONAL = MlpDenoiser(width=16, num_blocks=1, num_classes=3)
TRAINING = Training(num_steps=6, warmup_steps=0, batch_size=8, learning_rate=1e-3, ema=0.9, checkpoint_steps=4)

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_workers import train_as_worker
train_as_worker(Path(sys.argv[2]), sys.argv[3])
"""


def train_as_worker(folder: Path, what: str) -> None:
    """Train in this worker, and write its weights beside those of the others."""
    from safetensors.torch import save_file

    torch.set_num_threads(1)
    rank = os.environ["RANK"]
    images = IMAGES.copy()
    checkpoints = FolderCheckpoints(folder / ("checkpoints" if what != "own folders" else f"checkpoints-{rank}"))
    training = TRAINING.model_copy(update={"learning_rate": 1e30, "num_steps": 60}) if what == "diverge" else TRAINING
    if what == "classes":
        training = training.model_copy(update={"label_dropout": 0.4})
    outcome = train(images, CONDITIONAL if what == "classes" else MLP, training, 0, checkpoints, "cpu", LABELS)
    assert outcome.facts["world_size"] == 2
    save_file(outcome.weights, folder / f"weights-{rank}.safetensors")
    torch.distributed.barrier()  # a worker that leaves while the other still talks to it may make that one abort
    torch.distributed.destroy_process_group()


def run_two_workers(folder: Path, what: str = "train") -> list[subprocess.CompletedProcess[str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-c", WORKER, str(Path(__file__).parent), str(folder), what]
    workers = [
        subprocess.Popen(
            command,
            env=os.environ | common | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [worker.communicate(timeout=120)[1] for worker in workers]
    return [subprocess.CompletedProcess(command, w.returncode, stderr=e) for w, e in zip(workers, errors, strict=True)]


def weights_of(folder: Path, rank: int) -> dict[str, torch.Tensor]:
    return load_file(folder / f"weights-{rank}.safetensors")


def test_two_workers_agree_bitwise_and_learn_what_one_does(tmp_path: Path) -> None:
    """The global batch, its noise and its timesteps are those of one worker: only the order of the sums differs."""
    workers = run_two_workers(tmp_path)
    assert [worker.returncode for worker in workers] == [0, 0], workers
    first, second = weights_of(tmp_path, 0), weights_of(tmp_path, 1)
    alone = train(IMAGES, MLP, TRAINING, 0, NoCheckpoints(), "cpu").weights
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert all(torch.allclose(first[name], alone[name], rtol=1e-4, atol=1e-6) for name in alone)

    kept = FolderCheckpoints(tmp_path / "checkpoints").latest()
    assert kept is not None
    assert kept[0] == 4
    again = run_two_workers(tmp_path)  # from step 4 on
    assert [worker.returncode for worker in again] == [0, 0], again
    assert all(torch.equal(weights_of(tmp_path, 1)[name], first[name]) for name in first)


def test_two_workers_withhold_the_labels_that_one_would(tmp_path: Path) -> None:
    workers = run_two_workers(tmp_path, "classes")
    assert [worker.returncode for worker in workers] == [0, 0], workers
    training = TRAINING.model_copy(update={"label_dropout": 0.4})
    alone = train(IMAGES, CONDITIONAL, training, 0, NoCheckpoints(), "cpu", LABELS).weights
    first = weights_of(tmp_path, 0)
    assert all(torch.equal(first[name], weights_of(tmp_path, 1)[name]) for name in first)
    assert all(torch.allclose(first[name], alone[name], rtol=1e-4, atol=1e-6) for name in alone)


def test_a_loss_that_is_not_finite_stops_every_worker(tmp_path: Path) -> None:
    workers = run_two_workers(tmp_path, "diverge")
    assert all(worker.returncode == 1 and "the training loss is" in worker.stderr for worker in workers), workers


def test_workers_that_see_different_checkpoints_are_refused(tmp_path: Path) -> None:
    workers = run_two_workers(tmp_path, "own folders")
    assert [worker.returncode for worker in workers] == [0, 0], workers
    workers = run_two_workers(tmp_path, "own folders")  # only the first worker has written any
    assert all("the workers see checkpoints of different steps, [4, 0]" in worker.stderr for worker in workers), workers


@pytest.fixture
def ray_on_this_machine() -> Iterator[None]:
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@pytest.mark.usefixtures("ray_on_this_machine")
def test_ray_trains_two_workers_as_one_process_does(tmp_path: Path) -> None:
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    folder, here = tmp_path / "out", str(Path(__file__).parent)
    folder.mkdir()

    def work() -> None:
        sys.path.insert(0, here)
        import test_workers

        test_workers.train_as_worker(folder, "train")

    TorchTrainer(
        work,
        scaling_config=ScalingConfig(num_workers=2, resources_per_worker={"CPU": 1}),
        run_config=RunConfig(storage_path=str(tmp_path / "ray")),
    ).fit()
    alone = train(IMAGES, MLP, TRAINING, 0, NoCheckpoints(), "cpu").weights
    assert all(torch.equal(weights_of(folder, 0)[name], weights_of(folder, 1)[name]) for name in alone)
    assert all(torch.allclose(weights_of(folder, 0)[name], alone[name], rtol=1e-4, atol=1e-6) for name in alone)
