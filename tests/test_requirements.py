"""What `pip install -e ".[cpu,test]"` brings is what the tests import: nothing is skipped for want of a package."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parents[1]
UNDECLARED = {
    "jsonschema": "Ray needs it",
    "packaging": "Ray and MLflow need it",
    "torch_fidelity": "a test compares with it where it happens to be installed",
}


def imported_by_tests() -> set[str]:
    """Return the names of the top-level modules that are neither the standard library's nor ours."""
    found: set[str] = set()
    files = list((ROOT / "tests").rglob("*.py"))
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
    return found - {*sys.stdlib_module_names, *(file.stem for file in files), "raycollapse", "experiments"}


def test_every_package_that_a_test_imports_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    written = [*project["dependencies"], *(one for extra in project["optional-dependencies"].values() for one in extra)]
    declared = {re.split(r"[^\w.-]", one)[0].lower() for one in written}
    known = packages_distributions()
    names = {module: {name.lower() for name in known.get(module, [module])} for module in imported_by_tests()}
    assert {module for module, own in names.items() if not own & declared} <= UNDECLARED.keys()
