# SPDX-License-Identifier: MPL-2.0
"""The README's examples do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from django_metlog import conf
from metlog import catalogue
from metlog.catalogue import Metric
from metlog.testing import UdpReceiver

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def table() -> str:
    """The table of settings, from the table in the code."""
    rows = ["| setting | a value is | default | meaning |", "|---|---|---|---|"]
    for setting in conf.SETTINGS.values():
        names = ", ".join(f"`{name}`" for name in setting.names)
        default = "required" if setting.required else f"`{setting.default!r}`"
        if len(default) > 40:
            default = f"{len(setting.default)} keys"
        rows.append(f"| {names} | {setting.expected} | {default} | {setting.meaning} |")
    return "\n".join(rows)


def test_the_table_of_settings_is_the_one_in_the_code() -> None:
    """When this fails, put the table from the message into the README."""
    assert table() in README, table()


SITE = """
import sys
from django.urls import path
from django.core.cache import cache
from django.http import HttpResponse
from django.db import connection

sys.modules["shop"] = sys.modules["shop.views"] = module = type(sys)("shop.views")

def index(request):
    cache.get("nothing")
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("hello")

index.__module__ = "shop.views"
"""

VISIT = """
from django.conf import settings
values = {name: value for name, value in globals().items() if name.isupper()}
settings.configure(
    **values,
    ROOT_URLCONF="__main__",
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
)
import django
django.setup()
from django.test import Client
urlpatterns.append(path("", index))
assert Client().get("/").status_code == 200
assert Client().post("/services/timing/record", {"client": "nobody"}).status_code == 400
settings.METLOG.close()
"""


OF_THE_REPORT = {
    f"view.{view}POST"
    for view in ("django_metlog.views.record.", "django_metlog.views.", "")
}


def test_the_settings_work_and_send_what_is_shown() -> None:
    """A new process with these settings and URLs; a real socket; the lines shown."""
    with UdpReceiver() as receiver:
        settings, urls = blocks("python")[:2]
        settings = settings.replace("8125", str(receiver.port))
        done = subprocess.run(
            [sys.executable, "-c", settings + SITE + urls + VISIT],
            env={**os.environ, "DJANGO_SETTINGS_MODULE": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        shown = {line.partition(":")[0] for line in blocks("text")[0].splitlines()}
        shown |= {"response.400", *OF_THE_REPORT}
        assert receiver.wait_until(
            lambda r: shown == {line.partition(":")[0] for line in r.lines}
        ), receiver.lines


@pytest.mark.parametrize("block", blocks("python")[2:])
def test_the_other_examples_run(block: str) -> None:
    """As they stand, in a site that is set up."""
    catalogue.declare(Metric("signup", "counter", "visitors", "Of the example."))
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


def test_the_tag_renders() -> None:
    """It stands in the page's template."""
    from django.template import Template
    from django.template.context import Context

    assert "stick.js" in Template(blocks("html")[0]).render(Context())
