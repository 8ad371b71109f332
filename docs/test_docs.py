# SPDX-License-Identifier: MPL-2.0
"""The documentation is true: it builds, and every sample in it runs."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from samples import ENVIRONMENT, blocks

from metlog import MetlogClient
from metlog.senders import FileSender
from metlog.shapes import default_bounds

DOCS = Path(__file__).parent
ROOT = DOCS.parent
TEMPLATE = """
import sys, django
from django.conf import settings
from django.template import Context, Engine
settings.configure(
    INSTALLED_APPS=["django.contrib.staticfiles", "django_metlog"],
    METLOG=__import__("metlog").MetlogClient(None, "docs"),
    STATIC_URL="static/",
    ROOT_URLCONF="django_metlog.urls",
)
django.setup()
libraries = {
    "metlog": "django_metlog.templatetags.metlog",
    "static": "django.templatetags.static",
}
page = Engine(libraries=libraries).from_string(sys.stdin.read()).render(Context())
assert "<script" in page and "{%" not in page, page
"""
"""Renders what it is given."""

PAGES = sorted(
    [
        *DOCS.glob("*.md"),
        *DOCS.glob("backends/*.md"),
        *DOCS.glob("decisions/*.md"),
        *ROOT.glob("*.md"),
        *ROOT.glob("packages/*/README.md"),
    ]
)
OTHERS = {
    *(".", "cd", "django-admin", "node", "npm", "pre-commit", "python"),
    *("prometheus", "victoria-metrics"),
}
LANGUAGES = {
    *("python", "console", "text", "html", "js", "ini", "nginx", "json"),
    *("sql", "toml", "yaml"),
}


def samples(language: str) -> list[Any]:
    return [
        pytest.param(code, id=f"{page.relative_to(ROOT)}:{line}")
        for page in PAGES
        for line, code in blocks(page, language)
    ]


def pages_with(language: str) -> list[Any]:
    return [
        pytest.param(page, id=str(page.relative_to(ROOT)))
        for page in PAGES
        if blocks(page, language)
    ]


def run(*command: str | Path, cwd: Path = ROOT, code: str | None = None) -> None:
    done = subprocess.run(
        command, cwd=cwd, input=code, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_builds(tmp_path: Path) -> None:
    """Without a warning: every reference has a target, every page a place."""
    sphinx = (sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going")
    run(*sphinx, "-d", tmp_path / "trees", DOCS, tmp_path / "html")

    assert (tmp_path / "html" / "genindex.html").read_text().count("incr()") >= 1
    senders = re.sub("<[^>]*>", "", (tmp_path / "html" / "senders.html").read_text())
    assert "flush_interval=1.0, max_names=10000" in senders
    assert "*args" not in senders.partition("Every option")[2].partition("common")[0]


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)
def test_each_link_has_a_text(page: Path) -> None:
    """Sphinx would put in the title, but whoever reads the files sees nothing."""
    assert "[](" not in page.read_text("utf-8")


def test_each_promise_names_a_test_that_there_is() -> None:
    """Every row of delivery.md ends with tests of ours, or commands of the Makefile."""
    folders = [*ROOT.glob("packages/*/tests"), ROOT / "e2e", DOCS]
    sources = [path for folder in folders for path in folder.rglob("test_*.py")]
    tests = set(
        re.findall(
            r"^def (test_\w+)\(", "\n".join(map(Path.read_text, sources)), re.MULTILINE
        )
    )
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    rows = re.findall(
        r"^\| (?!how a process|promised).*\| (.*) \|$",
        (DOCS / "delivery.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(rows) > 40
    for row in rows:
        for name in row.split(", "):
            shown = name.strip("`")
            target = shown.removeprefix("make ")
            assert shown in tests or f"\n{target}: " in makefile, row


ORIGINALS = ROOT / "packages" / "django-metlog" / "tests" / "originals"
SECTIONS = {
    "django-metlog-mozilla": "From django-statsd-mozilla",  # which has the same names
    "django-statsd-mozilla": "From django-statsd-mozilla",
    "django-statsd-3": "From django-statsd 3",
    "django-prometheus": "From django-prometheus",
}
PARTS = {"METHOD": "[A-Z]+", "module": r"[\w.]+", "task": r"[\w.]+", "n": r"\d"}
"""What stands for a part of a name; by default that is one word."""


@pytest.mark.parametrize("kind", ["timer", "histogram"])
def test_the_default_bounds_are_told(kind: str) -> None:
    """Where the upgrade check sends who had buckets of their own."""
    *most, last = (f"{bound:g}" for bound in default_bounds(kind))
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    assert f" {', '.join(most)} and {last} for " in page


def test_the_memory_that_is_told_is_what_was_measured() -> None:
    """Rounded to hundreds of bytes."""
    page = (DOCS / "questions.md").read_text(encoding="utf-8")
    table = (DOCS / "measured" / "calls.md").read_text(encoding="utf-8")
    told = re.search(r"Some (\S+) bytes for a counter and (\S+) for a timer", page)
    assert told
    for kind, text in zip(("counter", "timer"), told.groups(), strict=True):
        (measured,) = re.findall(
            rf"^\| bytes a {kind} name \| (\S+) ", table, re.MULTILINE
        )
        assert int(text.replace(",", "")) == round(float(measured.replace(",", "")), -2)


@pytest.mark.parametrize("file", sorted(ORIGINALS.glob("*.json")), ids=lambda f: f.stem)
def test_what_an_original_sent_stands_in_its_table(file: Path) -> None:
    """Each name is one of those in the first column of upgrade.md's tables."""
    (title,) = (SECTIONS[name] for name in SECTIONS if file.name.startswith(name))
    text = (DOCS / "upgrade.md").read_text(encoding="utf-8")
    section = text.partition(f"## {title}")[2].partition("\n## ")[0]
    told = [
        re.sub(
            r"<(\w+)>", lambda part: PARTS.get(part[1], "[^.]+"), re.escape(name)
        ).replace("…", ".+")
        for cell in re.findall(r"^\| (.*?) \|", section, re.MULTILINE)
        for name in re.findall(r"`(.+?)(?:\{.*?\})?`", cell)
    ]
    sent = json.loads(file.read_text(encoding="utf-8"))["sent"]
    names = {
        line.rpartition(":")[0].removesuffix("_count")
        for lines in sent.values()
        for line in lines
    }
    assert len(names) > 10
    assert [n for n in names if not any(re.fullmatch(one, n) for one in told)] == []


@pytest.mark.parametrize("page", pages_with("python"))
def test_python(page: Path, tmp_path: Path) -> None:
    """A reader who types a page's samples from the top gets no error."""
    run(sys.executable, DOCS / "_ext" / "samples.py", page, cwd=tmp_path)


@pytest.mark.parametrize("code", samples("ini"))
def test_ini(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is metlog's own INI makes a client."""
    from metlog.config import client_from_text_config

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    if "[metlog]" in code:
        client_from_text_config(code, "metlog").close()
    else:
        assert re.search(r"^\S+ = ", code, re.MULTILINE)


@pytest.mark.parametrize("code", samples("json"))
def test_json(code: str) -> None:
    """It is JSON."""
    assert json.loads(code)


@pytest.mark.parametrize("code", samples("toml"))
def test_toml(code: str) -> None:
    """It is TOML."""
    assert tomllib.loads(code)


@pytest.mark.parametrize("code", samples("yaml"))
def test_yaml(code: str) -> None:
    """It is YAML."""
    assert isinstance(yaml.safe_load(code), dict)


@pytest.mark.parametrize("page", pages_with("sql"))
def test_sql(page: Path, tmp_path: Path) -> None:
    """DuckDB runs it on the lines of a FileSender, and there is an answer."""
    client = MetlogClient(FileSender(str(tmp_path / "metlog.jsonl")), "docs")
    client.incr("hits", 2, rate=0.9999999)
    client.timer_send("view.shop.views.index.GET", 12.5)
    client.error("no bread")
    client.close()
    with contextlib.chdir(tmp_path):
        for _, code in blocks(page, "sql"):
            assert duckdb.execute(code).fetchall() or "VIEW" in code


@pytest.mark.parametrize("code", samples("html"))
def test_html(code: str) -> None:
    """A template with it renders, and has a script."""
    if "<script" in code or "{%" in code:
        run(sys.executable, "-c", TEMPLATE, code=code)


@pytest.mark.parametrize("code", samples("js"))
def test_javascript(code: str, tmp_path: Path) -> None:
    """It parses, as a module."""
    node = shutil.which("node")
    assert node, "there is no node here"
    (tmp_path / "sample.mjs").write_text(code, encoding="utf-8")
    run(node, "--check", tmp_path / "sample.mjs")


@pytest.mark.parametrize("code", samples("console"))
def test_commands(code: str) -> None:
    """Each command that it tells to type exists, with the options it names."""
    for line in code.splitlines():
        if not line.startswith("$ "):
            continue
        for command in line[2:].split("&&"):
            check(command.split())


def check(words: list[str]) -> None:
    match words:
        case ["python", "-m", "metlog", name, *options]:
            helps = subprocess.run(
                [sys.executable, "-m", "metlog", name, "--help"],
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            for option in options:
                if option.startswith("--"):
                    assert option in helps, option
        case ["python", "manage.py", name, *_]:
            ours = (ROOT / "packages/django-metlog/src").glob(
                "django_metlog/management/commands/*.py"
            )
            known = {path.stem for path in ours}
            assert name in known | {"check", "migrate", "runserver", "startapp", "test"}
        case ["make", target, *_]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            assert re.search(rf"^{re.escape(target)}:", makefile, re.MULTILINE)
        case ["pip", "uninstall", "metlog-py"]:
            pass
        case ["pip", "install", *packages]:
            ours_ = {path.name for path in (ROOT / "packages").iterdir()}
            bare = {re.sub(r"\[.*\]", "", one.strip("'\"")) for one in packages}
            assert bare <= ours_
        case ["npm", "install", *packages]:
            manifest = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
            known = {
                name.rpartition("node_modules/")[2] for name in manifest["packages"]
            }
            assert set(packages) <= known
        case [".tools/bin/hatch", "run", script, *_]:
            environment = script.partition(":")[0].partition(".")[0]
            hatch = (ROOT / "hatch.toml").read_text(encoding="utf-8")
            assert f"[envs.{environment}]" in hatch
        case [".tools/bin/python", file, *_]:
            assert (ROOT / file).exists()
        case [name, *_]:
            assert name in OTHERS


@pytest.mark.parametrize(
    "page", [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES]
)
def test_languages(page: Path) -> None:
    """Each block names a language that is tested here, or a directive of the site."""
    fences = re.findall(r"^```(.*)$", page.read_text("utf-8"), re.MULTILINE)
    opening = [fence for fence in fences[::2] if not fence.startswith("{")]
    assert set(opening) <= LANGUAGES
