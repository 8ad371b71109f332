# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core import management
from django.core.management import CommandError, ManagementUtility, call_command
from django.core.management.base import BaseCommand
from sending import Sent

from django_metlog.patches import commands


@pytest.fixture(autouse=True)
def patched() -> Iterator[None]:
    commands.patch()
    yield
    commands.unpatch()


def command(handle: Any) -> BaseCommand:
    """A command as manage.py finds it: in a module that has its name."""
    members = {"handle": handle, "__module__": "shop.management.commands.tidy_up"}
    return type("Command", (BaseCommand,), members)()  # type: ignore[no-any-return]


def leave(code: object) -> Any:
    def handle(self: BaseCommand, **options: Any) -> None:
        sys.exit(code)  # type: ignore[arg-type]

    return handle


def fail(self: BaseCommand, **options: Any) -> None:
    raise CommandError("no")


def interrupt(self: BaseCommand, **options: Any) -> None:
    raise KeyboardInterrupt


def test_a_command_of_django(sent: Sent) -> None:
    """A command's time and outcome are sent under the name one types."""
    call_command("check")
    assert sent.counters() == {"command.check.ok": 1}
    assert sent.timers()["command.check.run"][0] > 0


@pytest.mark.parametrize(
    ("handle", "outcome"),
    [
        (lambda self, **options: "done", "ok"),
        (fail, "failed"),
        (leave(None), "ok"),
        (leave(0), "ok"),
        (leave(3), "failed"),
        (leave("no"), "failed"),
        (interrupt, "failed"),
    ],
)
def test_outcomes(handle: Any, outcome: str, sent: Sent, capsys: Any) -> None:
    """Whatever ends a command early but an exit with 0 is a failure; it stays one."""
    with suppress(CommandError, SystemExit, KeyboardInterrupt):
        assert call_command(command(handle)) == "done"
    assert sent.counters() == {f"command.tidy_up.{outcome}": 1}
    assert list(sent.timers()) == ["command.tidy_up.run"]


def test_any_option(sent: Sent, capsys: Any) -> None:
    """A command's options may be called whatever they like: ``shell`` has a
    ``--command``."""
    call_command("shell", command="print(1 + 1)")
    assert "2" in capsys.readouterr().out
    assert sent.counters() == {"command.shell.ok": 1}


def test_from_manage_py(sent: Sent, capsys: Any) -> None:
    """The same from the command line, exit code and all."""
    with pytest.raises(SystemExit) as exit_info:
        command(fail).run_from_argv(["manage.py", "tidy_up"])
    assert exit_info.value.code == 1
    assert "CommandError: no" in capsys.readouterr().err
    assert sent.counters() == {"command.tidy_up.failed": 1}


def test_unpatch(sent: Sent) -> None:
    """Commands are what they were."""
    commands.patch()
    commands.unpatch()
    commands.unpatch()
    assert BaseCommand.execute.__module__ == BaseCommand.__module__
    assert not hasattr(BaseCommand.execute, "__wrapped__")
    call_command("check")
    assert sent == []


@pytest.fixture
def vendor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any
) -> Iterator[None]:
    """An app whose commands have their classes from elsewhere."""
    files = {
        "vendor_base.py": "from django.core.management.base import BaseCommand\n"
        "class Command(BaseCommand):\n    def handle(self, **o): pass\n",
        "shopping/__init__.py": "",
        "shopping/management/__init__.py": "",
        "shopping/management/commands/__init__.py": "",
        "shopping/management/commands/nightly.py": "from vendor_base import Command\n",
        "shopping/management/commands/weekly.py": "from vendor_base import Command\n",
        "shopping/management/commands/own.py": "from vendor_base import Command as B\n"
        "class Command(B): pass\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    management.get_commands.cache_clear()
    settings.INSTALLED_APPS = [*settings.INSTALLED_APPS, "shopping"]
    yield
    management.get_commands.cache_clear()


@pytest.mark.usefixtures("vendor")
def test_a_command_is_called_what_one_types(sent: Sent) -> None:
    """Wherever its class comes from, from ``manage.py`` and by `call_command`; one of
    them inside of another, too."""
    ManagementUtility(["manage.py", "nightly"]).execute()
    ManagementUtility(["manage.py", "weekly", "--verbosity", "0"]).execute()
    call_command("weekly")
    call_command("own")
    from vendor_base import Command

    outer = management.load_command_class("shopping", "nightly")
    outer.handle = lambda **options: call_command("weekly")
    call_command(outer)
    call_command(Command())
    assert sent.counters() == {
        "command.nightly.ok": 2,
        "command.weekly.ok": 3,
        "command.own.ok": 1,
        "command.vendor_base.ok": 1,
    }


def test_commands_leave_nothing_behind() -> None:
    """Loading is Django's own again after `unpatch`, and few commands are kept."""
    loading = management.load_command_class
    for _ in range(300):
        loading("django.core", "check")
    assert len(commands._named) <= commands.MAX_NAMED + 1
    commands.unpatch()
    assert management.load_command_class is not loading
