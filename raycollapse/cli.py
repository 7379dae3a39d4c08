"""The command line: `raycollapse run`, `show`, `report`, `clean`.

Exit codes: 0 done; 1 something failed; 2 the request was wrong; 130 stopped by Ctrl-C.
"""

import json
import logging
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from raycollapse.errors import FullDiskError, RequestError

if TYPE_CHECKING:
    from raycollapse.config import Experiment
    from raycollapse.report import Report
    from raycollapse.runner import Result

app = typer.Typer(
    help=(
        "Run, sweep and compare self-consuming diffusion loops: train a model, sample from it, select from the "
        "samples, train the next model on them. Start with: raycollapse run experiments/quickstart.yaml"
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(help="The experiment's YAML file.", metavar="FILE")]
Assignments = Annotated[
    list[str] | None,
    typer.Option("--set", help="Change a field: --set training.num_steps=100. May be repeated.", metavar="PATH=VALUE"),
]
Storage = Annotated[
    str | None, typer.Option(help="Folder or URI that keeps every stage and record [default: results].", metavar="DIR")
]
Address = Annotated[
    str | None, typer.Option(help="Ray cluster to use: auto, host:port or ray://... [default: one on this machine].")
]


@app.command()
def run(
    file: File,
    assignments: Assignments = None,
    storage: Storage = None,
    address: Address = None,
    local: Annotated[bool, typer.Option("--local", help="Run in this process, without Ray: for debugging.")] = False,
) -> None:
    """Run an experiment: one trial, or every trial of its sweep.

    Whatever was finished before is reused: to resume after anything, run the same command again. More generations,
    seeds, grid points or metrics extend an experiment; another value of anything else is refused, with the difference.
    """
    from raycollapse.runner import run_here, run_on_ray

    if local and address is not None:
        raise RequestError("--local runs in this process and --address on a cluster. Give one of them.")
    experiment, console = _load(file, assignments, storage), Console()
    try:
        result = run_here(experiment, console) if local else run_on_ray(experiment, console, address)
    except KeyboardInterrupt:
        console.print("\nStopped. What was finished is kept; to resume, run the same command again.")
        raise typer.Exit(130) from None
    _tell(result, console)
    if result.failures:
        raise typer.Exit(1)


@app.command()
def show(file: File, assignments: Assignments = None, storage: Storage = None, address: Address = None) -> None:
    """Print an experiment's resolved configuration and its plan, and run nothing.

    Without --address it reads only the file. What a run would refuse is listed; the exit code stays 0.
    """
    from raycollapse.show import show_plan

    show_plan(_load(file, assignments, storage), Console(), address)


@app.command()
def report(
    experiments: Annotated[
        list[str], typer.Argument(help="Names of experiments in the storage.", metavar="EXPERIMENT...")
    ],
    storage: Storage = None,
    output: Annotated[Path | None, typer.Option(help="Folder for the report [default: STORAGE/reports/NAME].")] = None,
    claims: Annotated[
        bool, typer.Option("--claims", help="Hold the paper's claims C1 to C13 against these experiments instead.")
    ] = False,
) -> None:
    """Write figure.png, table.md, results.csv and protocol.json of one or several experiments; with --claims, claims.md
    and claims.csv."""
    from raycollapse.report import write_report
    from raycollapse.report.claims import write_claims
    from raycollapse.store import Store

    store, console = Store("results" if storage is None else storage, create=False), Console()
    folder = output or _report_folder(store.uri, "-".join(experiments))
    if claims:
        judged = write_claims(store, experiments, folder)
        console.print(judged.listing, highlight=False)
        _tell_path(console, "Markdown", judged.markdown)
        _tell_path(console, "Every value", judged.csv)
        return
    written = write_report(store, experiments, folder)
    _tell_tables(written, console)
    _tell_path(console, "Figure", written.figure)
    _tell_path(console, "Every value", written.csv)
    _tell_path(console, "How each trial was done", written.protocol)


@app.command()
def clean(
    storage: Annotated[str, typer.Argument(help="Folder or URI that a run wrote to.", metavar="STORAGE")],
    yes: Annotated[bool, typer.Option("--yes", help="Remove what is listed; without it nothing is changed.")] = False,
) -> None:
    """List, and with --yes remove, stages that no experiment in a storage refers to, and abandoned attempts.

    An experiment refers to whatever it needs to be reported, resumed and extended. To give one up, remove its folder
    STORAGE/experiments/NAME first. What a run that is at work may use is never touched.
    """
    from raycollapse.cleaning import clean
    from raycollapse.store import Store

    clean(Store(storage, create=False), Console(), is_asked_for=yes)


def _load(file: Path, assignments: list[str] | None, storage: str | None) -> "Experiment":
    from raycollapse.config import load

    # Quoted, so that YAML reads text and not a number, a comment or a mapping.
    quoted = [f"storage={json.dumps(storage, ensure_ascii=False)}"] if storage is not None else []
    return load(file, [*(assignments or []), *quoted])


def _tell(result: "Result", console: Console) -> None:
    """Print what came of a run: the table, where everything lies, and what failed."""
    from raycollapse.report import write_report

    name = result.experiment.name
    if result.has_records:
        written = write_report(result.store, [name], _report_folder(result.store.uri, name))
        _tell_tables(written, console)
        _tell_path(console, "Figure", written.figure)
        _tell_path(console, "Every value", written.csv)
        _tell_path(console, "How each trial was done", written.protocol)
    if result.tracking_uri is not None:
        command = f"mlflow ui --backend-store-uri {shlex.quote(result.tracking_uri)}"
        is_server = result.tracking_uri.startswith("http")
        _tell_path(console, "MLflow", result.tracking_uri if is_server else command)
    _tell_path(console, "Compute", result.compute)
    for label, reason in result.stops.items():
        console.print(f"stopped early: {label}: {reason}", highlight=False, markup=False, soft_wrap=True)
    for label, reason in result.failures.items():
        console.print(f"[red]failed[/red] {escape(f'{label}: {reason}')}", highlight=False, soft_wrap=True)
    if result.failures:
        console.print("What was finished is kept. To try again and resume, run the same command again.")


def _tell_tables(written: "Report", console: Console) -> None:
    """Print the summary, and what searches have found; the latter's trials are too many for the former."""
    if written.searches and len(written.searches) == written.values["experiment"].nunique():
        for name, table in written.searches.items():
            console.print(f"Search of {name}:", highlight=False)
            console.print(table)
    else:
        console.print(written.table)


def _tell_path(console: Console, what: str, path: object) -> None:
    console.print(f"{what}: {path}", highlight=False, markup=False, soft_wrap=True)


def _report_folder(storage: str, name: str) -> Path:
    """Return the folder of a report; beside the results, or in the current folder if those lie behind a URI."""
    return Path("reports") / name if "://" in storage else Path(storage) / "reports" / name


def main() -> None:
    """Run the command line; a mistake in the request is told in words and ends with exit code 2."""
    errors = Console(stderr=True)
    handler = RichHandler(console=errors, show_time=False, show_path=False, markup=False)
    logging.basicConfig(level=logging.WARNING, format="%(message)s", handlers=[handler])
    try:
        app()
    except RequestError as error:
        errors.print(f"Error: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except FullDiskError as error:
        errors.print(f"Stopped. {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(1)
