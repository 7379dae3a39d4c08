"""What `raycollapse show` prints: the resolved configuration, and the plan."""

from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from raycollapse.config import Experiment
from raycollapse.errors import RequestError
from raycollapse.expansion import expand, num_trials
from raycollapse.plan import Plan, plan
from raycollapse.search import Search


def show_plan(experiment: Experiment, console: Console, address: str | None) -> None:
    """Print the configuration, the stages in all and after sharing, and what a run would refuse."""
    resolved = yaml.safe_dump(experiment.resolved(), sort_keys=False, allow_unicode=True, width=float("inf")).rstrip()
    console.print(resolved, highlight=False, markup=False, soft_wrap=True)
    device = "cuda" if experiment.resources.device == "cuda" else "cpu"
    refusals = _refusals_of_cluster(experiment, address) if address else []
    try:
        trials = [trial.on(device) for trial in expand(experiment)]  # type: ignore[arg-type]
        search = experiment.search
        found = plan(trials[:1] if search else trials)
    except RequestError as error:
        refusals.append(str(error))
    else:
        console.print(_table(found))
        console.print(
            f"{num_trials(experiment)} trial(s), {experiment.num_generations} generation(s) each", highlight=False
        )
        if search:
            console.print(_told(search), highlight=False, markup=False, soft_wrap=True)
    for refusal in refusals:
        console.print(f"would be refused: {refusal}", style="yellow", highlight=False, markup=False, soft_wrap=True)


def _told(search: Search) -> str:
    """Say what is searched, and that the table above is of one trial."""
    hours = "" if search.max_hours is None else f", none started after {search.max_hours:g} hours"
    lines = [f"Search with Optuna (TPE, seed {search.seed}, the first {search.num_random} at random{hours}) over"]
    for path, own in search.space.items():
        settings = own.model_dump(exclude={"name"})
        lines.append(f"  {path}: {own.name} {', '.join(f'{name} {value}' for name, value in settings.items())}")
    lines.append(f"for {', '.join(f'{way} {name}' for name, way in search.objectives.items())} at the last generation.")
    return "\n".join([*lines, "The plan is of its first trial; trials share what no searched field comes into."])


def _table(found: Plan) -> Table:
    table = Table("stage", "in all", "after sharing", title="Plan", title_justify="left")
    for kind, in_all in found.num_in_all.items():
        table.add_row(kind, f"{in_all:,}", f"{found.num_shared[kind]:,}")
    table.add_row("in all", f"{found.num_in_all.total():,}", f"{found.num_shared.total():,}", style="bold")
    return table


def _refusals_of_cluster(experiment: Experiment, address: str) -> list[str]:
    from raycollapse.distributed.cluster import connected
    from raycollapse.distributed.resources import refusals

    with connected(address) as supply:
        device: Any = experiment.resources.device
        if device == "auto":
            device = "cuda" if supply.total.gpus >= 1 else "cpu"
        return refusals([trial.on(device) for trial in expand(experiment)], supply, num_trials(experiment))
