"""Every experiment file that is shipped loads, expands and is planned, whatever the machine, and says what it shows."""

import math
import re
from pathlib import Path

import pytest
from rich.console import Console

from raycollapse.config import Experiment, build, load
from raycollapse.diffusion.base import Device
from raycollapse.expansion import expand
from raycollapse.plan import plan
from raycollapse.runner import run_here
from raycollapse.show import show_plan
from raycollapse.tracking.records import TrialRecords

EXPERIMENTS = Path(__file__).parents[1] / "experiments"
FILES = sorted(EXPERIMENTS.rglob("*.yaml"))
README = (EXPERIMENTS.parent / "README.md").read_text()


def named(file: Path) -> str:
    return str(file.relative_to(EXPERIMENTS))


FULL_SIZE = [file for file in FILES if file.parent != EXPERIMENTS and load(file).resources.device == "cuda"]
CIFAR10 = [file for file in FULL_SIZE if file.parent.name == "cifar10"]
DIGITS = [file for file in FILES if file.parent.name == "digits"]


def device_of(experiment: Experiment) -> Device:
    return "cuda" if experiment.resources.device == "cuda" else "cpu"


def test_there_are_experiments() -> None:
    assert EXPERIMENTS / "quickstart.yaml" in FILES
    assert {file.parent.name for file in FULL_SIZE} == {"cifar10", "ffhq", "mnist"}


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_file_loads_and_expands(file: Path) -> None:
    experiment = load(file)
    trials = expand(experiment)
    assert len({trial.trial_key() for trial in trials}) == len(trials) >= 1
    for trial in trials:
        assert trial.on(device_of(experiment)).device == device_of(experiment)
        assert build(trial.resolved()) == trial


def test_no_two_files_share_a_name_so_that_one_storage_holds_them_all() -> None:
    names = [load(file).name for file in FILES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_file_opens_with_what_it_shows_its_own_command_its_cost_and_what_to_expect(file: Path) -> None:
    header = re.match(r"(#.*\n)+", file.read_text())
    assert header is not None
    assert f"raycollapse run experiments/{named(file)}\n" in header[0]
    assert re.search(r"^# Cost: .*(counted|measured|Xeon)", header[0], flags=re.MULTILINE)
    assert re.search(r"To expect", header[0])


@pytest.mark.parametrize("file", FILES, ids=named)
def test_the_readme_names_the_file_with_its_command(file: Path) -> None:
    assert f"experiments/{named(file)}" in README


@pytest.mark.parametrize("file", FULL_SIZE, ids=named)
def test_a_full_size_file_is_planned_on_a_machine_without_a_gpu(file: Path) -> None:
    experiment = load(file)
    console = Console(width=120)
    with console.capture() as told:
        show_plan(experiment, console, None)
    assert "would be refused" not in told.get()
    assert f"{len(expand(experiment))} trial(s)" in told.get()


@pytest.mark.parametrize("file", [file for file in FULL_SIZE if file.stem == "base"], ids=named)
def test_a_full_size_file_has_the_settings_of_the_paper(file: Path) -> None:
    trial = load(file)
    assert trial.denoiser.model_dump()["width"] == "unet48"
    training, sampling = trial.training, trial.sampling
    assert (training.num_epochs, training.batch_size, training.learning_rate) == (501, 128, 1e-4)
    assert (training.warmup_steps, training.betas, training.weight_decay) == (500, (0.95, 0.999), 1e-6)
    assert (training.epsilon, training.max_grad_norm, training.precision, training.ema) == (1e-8, 1.0, "fp16", None)
    assert (training.num_train_timesteps, training.beta_schedule) == (1000, "linear")
    assert (sampling.scheduler, sampling.num_steps, sampling.batch_size) == ("ddpm", 1000, 1024)
    assert trial.features.space == "dinov2"
    assert trial.num_train == {"cifar10": 32_768, "ffhq": 8_192, "mnist": 12_000}[trial.data.name]


def test_the_digits_share_the_models_that_they_have_in_common() -> None:
    files = [expand(load(file)) for file in DIGITS]
    trained = [plan([trial.on("cpu") for trial in trials]).num_shared["train"] for trials in files]
    together = plan([trial.on("cpu") for trials in files for trial in trials]).num_shared["train"]
    # Three seeds of `replace, uniform` are in panels, sizes, two_n and fresh; one of them is base. Further, `greedy` of
    # two_n, `uniform` and the decay of 0.95 are panels', and every trial has the first model of its seed.
    assert together == 366
    assert sum(trained) > 500


TINY = [
    "num_generations=2", "data.num_held_out=48", "denoiser.width=null", "denoiser.channels=[8, 8]",
    "denoiser.layers_per_block=1", "denoiser.norm_num_groups=4", "training.num_epochs=null", "training.num_steps=2",
    "training.warmup_steps=1", "training.batch_size=8", "training.precision=no", "sampling.num_steps=2",
    "sampling.shard_size=48", "sampling.batch_size=48", "features=pixels", "resources.device=cpu",
    "tracking.mlflow=false", "metrics=[entropy, generalization, frechet, spread, fidelity]",
]  # fmt: skip
SIZE = ["data.num_train=48"]
TINY_OF = {"sizes": ["sweep.grid={data.num_train: [24, 48]}"], "fresh": [*SIZE, "data.num_fresh=12"]}


@pytest.mark.slow
@pytest.mark.parametrize("file", CIFAR10, ids=named)
def test_a_cifar10_file_runs_at_a_tiny_size_on_the_real_images(file: Path, real_data: Path, tmp_path: Path) -> None:
    images = real_data / "cifar10_holdout_2048.npz"
    changes = [*TINY, *TINY_OF.get(file.stem, SIZE), f"data.path={images}", f"storage={tmp_path}"]
    result = run_here(load(file, changes), Console(quiet=True))
    assert not result.failures
    trials = [trial.on("cpu") for trial in expand(result.experiment)]
    assert len(trials) == len(expand(load(file, TINY_OF.get(file.stem, SIZE))))
    for trial in trials:
        records = TrialRecords(result.store, trial.name, trial.trial_key()).read()
        assert [record.generation for record in records] == [1, 2]
        assert all(math.isfinite(value) for record in records for value in record.metrics.values())
        assert {"entropy/train_set", "quality/fd", "diversity/recall"} <= records[-1].metrics.keys()
