# SPDX-License-Identifier: MPL-2.0
"""The system check of templates that use ``{% stick %}``.

Django compiles a template when its page is requested. Those that have the tag are
compiled here, when the site starts; templates of installed packages are skipped.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from inspect import signature
from pathlib import Path
from typing import Any

from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.template import Engine, Template, TemplateSyntaxError, Variable, engines
from django.template.backends.django import DjangoTemplates
from django.template.library import SimpleNode
from django.urls import NoReverseMatch, reverse

from django_metlog import conf
from django_metlog.templatetags.metlog import RECORD_VIEW, stick

__all__ = ["check_templates"]

_TAG = re.compile(rb"\{%\s*stick\s")
_OURS = re.compile(r"\b(end)?stick\b|\bdjango_metlog\b")
_NAMES = list(signature(stick).parameters)[1:]
_OPTIONS = ", ".join(_NAMES)
_SWITCHES = {"vitals", "visits", "errors", "attribution"}
_FIELDS = {"device_type", "connection"}
_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), "True"),
    **dict.fromkeys(("false", "no", "off", "0", "none"), "False"),
}
"""What people write for a switch; the template language has True and False."""
_PACKAGES = {"site-packages", "dist-packages"}
_NO_TEMPLATES = _PACKAGES | {".git", "node_modules"}

MAX_BYTES = 1_000_000
"""The longest file that is read: no template is longer."""


def check_templates(**kwargs: Any) -> list[CheckMessage]:
    """Check that each template with the tag compiles, and that there is a record view.

    Reads the site's templates, and loads the URLconf as Django's own checks do.
    """
    found: list[CheckMessage] = []
    using: list[Path] = []
    for engine, file, source in _with_the_tag():
        try:
            template = Template(source, engine=engine)
        except TemplateSyntaxError as error:
            why = str(error).partition("\n")[0]
            if _OURS.search(why) or _is_our_library_mistyped(why):
                found.append(_broken(file, why))
        except Exception:
            pass  # the error is about another tag
        else:
            nodes = [
                node
                for node in template.nodelist.get_nodes_by_type(SimpleNode)
                if isinstance(node, SimpleNode) and node.func is stick
            ]
            if nodes:
                using.append(file)
            for node in nodes:
                found += [_misunderstood(file, *one) for one in _odd_options(node)]
    if using and conf.has_urlconf() and not _is_in_the_urlconf():
        found.append(_nowhere_to_report(using[0]))
    return found


def _broken(file: Path, why: str) -> CheckMessage:
    return Error(
        f"{file}: {why}",
        hint=(
            "Write {% load metlog %} into this file, and below it {% stick %}; "
            f"it takes {_OPTIONS}."
        ),
        id="django_metlog.E024",
    )


def _is_our_library_mistyped(why: str) -> bool:
    named = re.match(r"'(\w+)' is not a registered tag library", why)
    return named is not None and bool(difflib.get_close_matches(named[1], ["metlog"]))


def _odd_options(node: SimpleNode) -> Iterator[tuple[str, str, str]]:
    """Yield what is written, what that is, and what to write instead."""
    given = [*zip(_NAMES, node.args, strict=False), *node.kwargs.items()]
    for name, value in given:
        written = str(value)
        if value.filters or written in {"True", "False", "None"}:
            continue
        variable = isinstance(value.var, Variable) and value.var.lookups is not None
        if variable and name in _SWITCHES and written.lower() in _WORDS:
            yield written, "a variable", f"{name}={_WORDS[written.lower()]}"
        elif variable and value in node.args and written in _NAMES:
            yield written, "a variable", f"{written}=True"
        elif not variable:
            constant: Any = (
                value.var.literal if isinstance(value.var, Variable) else value.var
            )
            if name in _SWITCHES and isinstance(constant, str) and constant:
                meant = _WORDS.get(constant.lower(), "True")
                yield f"{name}={written}", "text, which is true", f"{name}={meant}"
            elif name == "sample" and not _is_a_share(constant):
                yield (
                    f"{name}={written}",
                    "not a share from 0.01 to 1",
                    "sample=0.1, for one page in ten",
                )
            elif name == "fields" and not set(str(constant).split()) <= _FIELDS:
                yield (
                    f"{name}={written}",
                    "not what the script knows",
                    "device_type and connection, with a blank between them",
                )


def _is_a_share(value: object) -> bool:
    try:
        return value is None or 0.01 <= float(str(value)) <= 1
    except ValueError:
        return False


def _misunderstood(file: Path, written: str, found: str, way_out: str) -> CheckMessage:
    return Caution(
        f"{file}: {{% stick %}} has {written}, which is {found}.",
        hint=f"Write {way_out}.",
        id="django_metlog.W021",
    )


def _nowhere_to_report(file: Path) -> CheckMessage:
    return Caution(
        f"{file} has {{% stick %}}, and the URLconf has no view that takes its "
        "reports: the tag writes nothing.",
        hint=f"Add to urlpatterns, without a namespace: {RECORD_VIEW}",
        id="django_metlog.W016",
    )


def _is_in_the_urlconf() -> bool:
    try:
        reverse("django_metlog.record")
    except NoReverseMatch:
        return False
    return True


def _with_the_tag() -> Iterator[tuple[Engine, Path, str]]:
    for engine in _engines():
        for folder in _folders(engine):
            for file in _files(folder):
                try:
                    content = file.read_bytes()
                    if _TAG.search(content):
                        yield engine, file, content.decode(engine.file_charset)
                except (LookupError, OSError, ValueError):
                    continue  # Django reports it when the template is used


def _files(folder: Path) -> Iterator[Path]:
    """Yield what may be a template: a folder of templates may hold a whole project."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - _NO_TEMPLATES)
        for file in sorted(Path(place, name) for name in files):
            try:
                found = file.stat()
            except OSError:  # it has just gone
                continue
            if stat.S_ISREG(found.st_mode) and found.st_size <= MAX_BYTES:
                yield file


def _engines() -> Iterator[Engine]:
    """Yield the engines that can be made; Django reports others when they are used."""
    for alias in _tried(lambda: engines):
        for found in _tried(lambda one: [engines[one]], alias):
            if isinstance(found, DjangoTemplates):
                yield found.engine


def _folders(engine: Engine) -> list[Path]:
    """Return the engine's folders without installed packages, each once, in order."""
    found: dict[Path, None] = {}
    for loader in _tried(lambda: engine.template_loaders):
        # The cached loader wraps others.
        for inner in getattr(loader, "loaders", None) or [loader]:
            get_dirs = getattr(inner, "get_dirs", list)
            found |= dict.fromkeys(_tried(lambda dirs: _places(dirs()), get_dirs))
    return list(found)


def _places(dirs: Any) -> Iterator[Path]:
    """Yield what is worth walking through: not ``/``, with which ``DIRS`` begins if it
    is a path instead of a list."""
    for folder in map(Path, map(os.fsdecode, dirs)):
        is_root = folder.resolve() == folder.resolve().parent
        if not is_root and _PACKAGES.isdisjoint(folder.parts):
            yield folder


def _tried(ask: Callable[..., Iterable[Any]], *args: Any) -> list[Any]:
    try:
        return [*ask(*args)]
    except Exception:
        return []
