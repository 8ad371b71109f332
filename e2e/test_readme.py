# SPDX-License-Identifier: MPL-2.0
"""The README's settings in a project fresh from `django-admin startproject`."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from statsd import Receiver

README = Path(__file__).parent.parent / "README.md"

# What a person does next, and what the README's own code does.
VISIT = """
import django
django.setup()
from django.contrib.auth import get_user_model
from django.test import Client
Client(SERVER_NAME="localhost").get("/admin/login/")
assert not get_user_model().objects.exists()
make_thumbnail = dict
{code}
"""


@pytest.fixture(scope="module")
def blocks() -> dict[str, str]:
    """The Python blocks by what their first line says or imports."""
    found = re.findall(r"```python\n(.+?)\n(.+?)```", README.read_text(), re.DOTALL)
    return {first.lstrip("# "): f"{first}\n{rest}" for first, rest in found}


@pytest.fixture
def project(tmp_path: Path, blocks: dict[str, str]) -> Path:
    def run(*command: str) -> None:
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True)

    run("-m", "django", "startproject", "mysite", ".")
    for name in ("settings.py", "urls.py"):
        with (tmp_path / "mysite" / name).open("a") as file:
            file.write(f"\n{blocks[name]}")
    run("manage.py", "migrate", "--verbosity=0")
    return tmp_path


def test_no_complaint(project: Path) -> None:
    """Django's system checks find nothing to say about them."""
    done = subprocess.run(
        [sys.executable, "manage.py", "check", "--fail-level=DEBUG"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr


def test_lines(project: Path, blocks: dict[str, str]) -> None:
    """They work: views, responses, queries and one's own code arrive as StatsD."""
    receiver = Receiver()
    settings = project / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace("8125", str(receiver.port)))
    own = blocks["from django_metlog import client"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", VISIT.format(code=own)],
        cwd=project,
        env={"DJANGO_SETTINGS_MODULE": "mysite.settings"},
        check=True,
    )
    receiver.close()

    assert receiver.total("response.200") == 1
    assert receiver.total("signup") == 1
    assert len(receiver.values("view.GET")) == 1
    assert len(receiver.values("thumbnail")) == 1
    assert receiver.values("db.sqlite3.default.execute")
