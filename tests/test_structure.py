"""Rules of the house that no linter knows: each is read from the source tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.main import get_group

from server.access_statement import role_table
from server.cli import main
from server.commands.configuration import setting_lines

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("server", "storage", "profiles", "conformance")
OPTIONAL_DRIVERS = ROOT / "storage/open.py"
LONGEST_FUNCTION = 60
LONGEST_MODULE = 400
READS_ENVIRONMENT = ("server/settings.py", "server/serve.py")
"""Where settings are read, and where they are handed to worker processes."""
FORBIDDEN_NAMES = re.compile(r"(^|_)(utils?|helpers?|managers?|misc|common|base|impl)(_|$)")
FORBIDDEN_TEXT = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def modules(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


SOURCES = pytest.mark.parametrize("path", modules(*PACKAGES), ids=name)
EVERYTHING = pytest.mark.parametrize("path", modules(*PACKAGES, "tests"), ids=name)


@SOURCES
def test_a_module_opens_with_a_docstring(path: Path) -> None:
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("path", [path for path in modules(*PACKAGES) if path.name == "__init__.py"], ids=name)
def test_an_init_holds_a_docstring_and_nothing_else(path: Path) -> None:
    assert len(tree(path).body) == 1


@pytest.mark.parametrize("path", [path for path in modules(*PACKAGES) if path != OPTIONAL_DRIVERS], ids=name)
def test_no_import_hides_inside_a_function(path: Path) -> None:
    hidden = [
        node.lineno
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert not hidden


@EVERYTHING
def test_no_function_is_longer_than_a_page(path: Path) -> None:
    lengths = {each.name: (each.end_lineno or each.lineno) - each.lineno + 1 for each in functions(path)}
    assert not {each: length for each, length in lengths.items() if length > LONGEST_FUNCTION}


@SOURCES
def test_no_module_holds_two_ideas(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE


@EVERYTHING
def test_modules_are_nouns_of_the_field(path: Path) -> None:
    assert not FORBIDDEN_NAMES.search(path.stem)


@SOURCES
def test_nothing_is_left_for_later(path: Path) -> None:
    assert not FORBIDDEN_TEXT.search(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [each for each in modules(*PACKAGES) if name(each) not in READS_ENVIRONMENT], ids=name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    assert not re.search(r"os\.(environ|getenv)", path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [path for path in modules("tests") if path.name.startswith("test_")], ids=name)
def test_tests_do_not_sleep(path: Path) -> None:
    """`sleep(0)` gives way to others and waits for nothing."""
    slept = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "sleep"
        if ast.unparse(node.args[0]) != "0"
    ]
    assert not slept


README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = [
    line.strip() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) for line in block.splitlines() if line
]


@pytest.mark.parametrize("line", setting_lines(), ids=lambda line: line.variable)
def test_every_setting_is_in_the_readme_with_its_default(line: object) -> None:
    row = next((each for each in README.splitlines() if each.startswith(f"| `{line.variable}`")), "")
    assert row, "no row in the settings table"
    assert f"| `{line.default}` |" in row if line.default else "| |" in row


def test_the_readme_names_no_other_setting() -> None:
    assert set(re.findall(r"WEFT_[A-Z_]+", README)) <= {line.variable for line in setting_lines()}


def test_the_roles_of_the_readme_are_those_that_decide() -> None:
    assert "\n".join(role_table()) in README


@pytest.mark.parametrize("path", sorted((ROOT / "docker").iterdir()), ids=name)
def test_containers_are_given_settings_there_are(path: Path) -> None:
    """A variable with `_FILE` is read by the image's own `weft` and replaced by what stands in the file."""
    given = set(re.findall(r"\b(WEFT_[A-Z_]+)", path.read_text(encoding="utf-8")))
    known = {line.variable for line in setting_lines()}
    assert given - {"WEFT_RECORDS_FILE"} <= known


def test_what_the_image_copies_is_sent_to_the_builder() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    assert not [each for line in copied for each in line.split() if f"!{each}" not in sent]


def test_the_readme_has_commands() -> None:
    assert {"make demo", "make test"} <= set(COMMANDS)


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("make ")])
def test_make_knows_every_target_of_the_readme(command: str) -> None:
    target = command.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


COMMANDS_OF_WEFT = get_group(main).commands


@pytest.mark.parametrize("command", sorted(set(re.findall(r"(?<!-)\bweft ([a-z]+)", " ".join(COMMANDS)))))
def test_weft_knows_every_command_of_the_readme(command: str) -> None:
    assert command in COMMANDS_OF_WEFT


@pytest.mark.parametrize("command", [each for each in COMMANDS if re.match(r"weft (user|client|key|audit) ", each)])
def test_groups_know_every_command_of_the_readme(command: str) -> None:
    _, group, below, *_ = command.split()
    assert below in COMMANDS_OF_WEFT[group].loaded().commands


@pytest.mark.parametrize("command", [each for each in COMMANDS if each.startswith("curl ")])
def test_curls_of_the_readme_are_run_end_to_end(command: str) -> None:
    """`tests/e2e/test_readme.py` runs every line that begins so, against the demonstration's data."""
    assert "http://127.0.0.1:8080/" in command


def test_every_dependency_is_in_the_readme() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    block = re.search(r"^dependencies = \[(.*?)^\]", project, re.DOTALL | re.MULTILINE)
    assert block
    names = re.findall(r'"([A-Za-z0-9_-]+)', block[1])
    assert not [each for each in names if not re.search(rf"^\| [^|]*{re.escape(each)}", README, re.MULTILINE)]
