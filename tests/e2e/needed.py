"""Programs of other makers that some tests need: a skip where one is not installed, which CI does not forgive."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest


def program(*names: str) -> str:
    """The first of these that is here."""
    for each in names:
        if found := shutil.which(each):
            return found
    reason = f"{' or '.join(names)} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def npm_install(folder: Path) -> None:
    """What the package.json of a folder asks for."""
    run(program("npm"), "install", "--no-audit", "--no-fund", "--silent", folder=folder)


def maven(folder: Path, *goals: str) -> None:
    """What the pom.xml of a folder asks for: from this machine's own repository if all is there, else from Central."""
    program("javac")
    command = (program("mvn"), "--batch-mode", "--quiet")
    offline = subprocess.run([*command, "--offline", *goals], cwd=folder, capture_output=True, timeout=300, check=False)
    if offline.returncode:  # some 200 MB are to come
        run(*command, *goals, folder=folder, seconds=1200)


def run(*command: str, folder: Path, given: str = "", seconds: float = 300) -> str:
    """What a program prints that does what it should."""
    done = subprocess.run(
        command, cwd=folder, input=given, capture_output=True, text=True, timeout=seconds, check=False
    )
    assert done.returncode == 0, (done.stderr or done.stdout)[-4000:]
    return done.stdout
