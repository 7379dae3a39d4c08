"""The training of a denoiser (Ho et al. 2020, algorithm 1) with Accelerate, on one worker or many.

One function serves a plain process and the workers of Ray Train's `TorchTrainer`, which sets ranks and process group.
"""

import hashlib
import json
import math
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from accelerate import Accelerator
from diffusers.schedulers.scheduling_ddpm import DDPMScheduler
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import mse_loss

from raycollapse.diffusion.base import Denoiser, Device
from raycollapse.diffusion.batches import (
    DROPOUT,
    WEIGHTS,
    TrainData,
    batch_indices,
    branch_seed,
    check_array,
    noise_and_timesteps,
)
from raycollapse.diffusion.checkpoints import Checkpoints
from raycollapse.diffusion.devices import device_name, require_device, to_device
from raycollapse.diffusion.labels import TrainLabels
from raycollapse.diffusion.process import (
    new_accelerator,
    own_random_state,
    seed_module,
    worker_rows,
    world_size,
)
from raycollapse.diffusion.snapshot import WEIGHTS_FILE, Trained, load_snapshot
from raycollapse.diffusion.training import Training
from raycollapse.diffusion.training_state import TrainingState
from raycollapse.errors import RequestError, StageError
from raycollapse.schema import Json

CHECK_STEPS = 50
"""Steps between looks at the losses: each look waits for the GPU."""
CURVE_POINTS = 50


def train(
    images: NDArray[np.uint8] | NDArray[np.float32],
    denoiser: Denoiser,
    training: Training,
    seed: int,
    checkpoints: Checkpoints,
    device: Device,
    labels: NDArray[np.int64] | None = None,
    initial: Path | None = None,
) -> Trained:
    """Train a denoiser, or go on from the latest checkpoint, and return its weights and loss curve.

    It starts from random weights or, where `training.init` is previous, from those of the snapshot in the folder
    `initial`. Images are uint8 (N, H, W, C), vectors float32 (N, d), labels (N,) int64; a class-conditional denoiser
    needs them, any other does not look at them. On the CPU, with as many threads, a resumed training is bitwise the
    uninterrupted one. Under several workers each calls this with the same arguments, and all must see the same
    checkpoints; each returns the same weights, and one of them saves them.
    """
    if (training.init == "previous") != (initial is not None):
        given = "no snapshot is" if initial is None else f"the snapshot {initial} is"
        raise RequestError(
            f"training.init is {training.init}, but {given} given to start from. Use previous with a snapshot, "
            "scratch without."
        )
    check_array(images)
    denoiser.check_shape(images.shape[1:])
    training.check_request(len(images), device, world_size())
    classes = TrainLabels.of(labels, len(images), denoiser, training)
    require_device(device)
    with own_random_state(device):
        accelerator = new_accelerator(device, training.precision)
        data = TrainData.from_array(images, accelerator.device)
        state = _initial_state(images, classes, denoiser, training, seed, accelerator, initial)
        _resume(state, checkpoints)
        _take_steps(state, data, classes, training, seed, checkpoints, training.steps_for(len(images)))
    return Trained(
        denoiser=denoiser,
        shape=images.shape[1:],
        weights=_finite(state.sampled_weights()),
        noise_schedule=training.noise_schedule(),
        standardisation=data.standardisation,
        facts=_facts(state, training, data),
        losses=loss_curve(state.losses),
        class_counts=None if classes is None else classes.counts(),
    )


def _take_steps(
    state: TrainingState, data: TrainData, classes: TrainLabels | None, training: Training, seed: int,
    checkpoints: Checkpoints, num_steps: int,
) -> None:  # fmt: skip
    """Take the steps that are left."""
    accelerator, device = state.accelerator, state.accelerator.device
    forward_process = DDPMScheduler(**training.noise_schedule())
    mine = worker_rows(training.batch_size, accelerator)
    fresh_losses: list[Tensor] = []
    state.model.train()
    for step in range(state.step, num_steps):
        seed_module(branch_seed(seed, DROPOUT, step, accelerator.process_index), device)
        state.set_learning_rate(training.learning_rate_at(step, num_steps))

        indices = batch_indices(seed, step, training.batch_size, len(data.values))
        noise, t = noise_and_timesteps(seed, step, (len(indices), *data.values.shape[1:]), training.num_train_timesteps)
        noise, t = to_device(noise[mine], device), to_device(t[mine], device)
        x_0 = data.gather(to_device(torch.from_numpy(indices[mine]), device))  # (b, C, H, W) or (b, d)

        x_t = forward_process.add_noise(x_0, noise, t)  # eq. 4: sqrt(alpha_bar_t) x_0 + sqrt(1 - alpha_bar_t) epsilon
        told = (
            {} if classes is None else {"class_labels": to_device(classes.of_step(indices, seed, step)[mine], device)}
        )
        predicted = state.model(x_t, t, return_dict=False, **told)[0]  # epsilon_theta(x_t, t)
        loss = mse_loss(predicted.float(), noise)  # eq. 14, L_simple

        accelerator.backward(loss)
        accelerator.clip_grad_norm_(state.model.parameters(), training.max_grad_norm)
        state.optimizer.step()
        state.optimizer.zero_grad()
        if state.ema is not None:
            state.ema.step(state.module.parameters())

        state.step = step + 1
        fresh_losses.append(loss.detach())
        checkpoint_due = state.step % training.checkpoint_steps == 0 and state.step < num_steps
        if checkpoint_due or state.step % CHECK_STEPS == 0 or state.step == num_steps:
            _keep_losses(state, fresh_losses, training, num_steps)
        if checkpoint_due and accelerator.is_main_process:
            checkpoints.save(state.step, state.write)


def _initial_state(
    images: NDArray[Any], classes: TrainLabels | None, denoiser: Denoiser, training: Training, seed: int,
    accelerator: Accelerator, initial: Path | None,
) -> TrainingState:  # fmt: skip
    """Return the state before the first step: the same weights on every worker."""
    seed_module(branch_seed(seed, WEIGHTS), torch.device("cpu"))
    module = denoiser.build(images.shape[1:])
    if initial is not None:
        module.load_state_dict(load_snapshot(initial).module.state_dict())
    module = module.to(accelerator.device)
    optimizer = torch.optim.AdamW(
        module.parameters(),
        lr=training.learning_rate,
        betas=training.betas,
        weight_decay=training.weight_decay,
        eps=training.epsilon,
        fused=True,  # a third of the time on a CPU too
    )
    ema = None
    if training.ema is not None:
        from diffusers.training_utils import EMAModel  # seconds to import, and rarely needed

        ema = EMAModel(module.parameters(), decay=training.ema)
    model, prepared = accelerator.prepare(module, optimizer)
    fingerprint = _fingerprint(images, classes, denoiser, training, seed, accelerator, initial)
    return TrainingState(module, model, prepared, accelerator, ema, fingerprint)


def _resume(state: TrainingState, checkpoints: Checkpoints) -> None:
    """Read the latest checkpoint, if there is one and every worker sees the same."""
    found = checkpoints.latest()
    seen = torch.tensor([0 if found is None else found[0]], device=state.accelerator.device)
    steps = state.accelerator.gather(seen).tolist()
    if len(set(steps)) > 1:
        raise RequestError(
            f"the workers see checkpoints of different steps, {steps}. Put the storage where all of them reach it."
        )
    if found is not None:
        state.read(found[1])


def _keep_losses(state: TrainingState, fresh: list[Tensor], training: Training, num_steps: int) -> None:
    """Move losses from the device to the state; raise StageError at the first that is not finite.

    They are averaged over the workers first, so that all of them stop at the same step and none waits for another.
    """
    losses = state.accelerator.reduce(torch.stack(fresh).double(), reduction="mean").tolist()
    fresh.clear()
    for loss in losses:
        step = len(state.losses)
        if not math.isfinite(loss):
            rate = training.learning_rate_at(step, num_steps)
            raise StageError(
                f"the training loss is {loss} at step {step}, where the learning rate is {rate:.3g}. Lower "
                "training.learning_rate, lengthen warmup_steps, or use precision bf16 or no."
            )
        state.losses.append(loss)


def _finite(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights; raise StageError if the last step spoilt them, which no loss has shown yet."""
    bad = [name for name, value in weights.items() if not value.isfinite().all()]
    if bad:
        raise StageError(f"the weights {bad[0]} are not finite after the last step. Lower training.learning_rate.")
    return weights


def loss_curve(losses: list[float]) -> list[tuple[int, float]]:
    """Return about 50 points (steps done, mean loss since the last point).

    >>> loss_curve([3.0, 1.0])
    [(1, 3.0), (2, 1.0)]
    """
    interval = max(1, len(losses) // CURVE_POINTS)
    starts = range(0, len(losses), interval)
    return [(min(start + interval, len(losses)), float(np.mean(losses[start : start + interval]))) for start in starts]


def _facts(state: TrainingState, training: Training, data: TrainData) -> dict[str, Json]:
    accelerator = state.accelerator
    return {
        "init": training.init,
        "num_steps": state.step,
        "num_images": len(data.values),
        "batch_size": training.batch_size,
        "world_size": accelerator.num_processes,
        "precision": cast(str, accelerator.mixed_precision),
        "device": accelerator.device.type,
        "device_name": device_name(cast(Device, accelerator.device.type)),
        "scaling": data.scaling,
        "ema": training.ema,
        "num_parameters": sum(parameter.numel() for parameter in state.module.parameters()),
        "final_loss": loss_curve(state.losses)[-1][1],
    }


def _fingerprint(
    images: NDArray[Any], classes: TrainLabels | None, denoiser: Denoiser, training: Training, seed: int,
    accelerator: Accelerator, initial: Path | None,
) -> str:  # fmt: skip
    """Return a hash of all that decides the result, so that no checkpoint of another training is taken up."""
    decides: dict[str, Json] = {
        "denoiser": denoiser.identity(),
        "training": training.identity(),
        "seed": seed,
        "world_size": accelerator.num_processes,
        "device": accelerator.device.type,
        "images": hashlib.sha256(np.ascontiguousarray(images).data).hexdigest(),
    }
    if initial is not None:
        decides["initial"] = hashlib.sha256((initial / "model" / WEIGHTS_FILE).read_bytes()).hexdigest()
    if classes is not None:
        decides["labels"] = hashlib.sha256(np.ascontiguousarray(classes.values).data).hexdigest()
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
