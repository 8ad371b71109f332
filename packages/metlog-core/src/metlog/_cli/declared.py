# SPDX-License-Identifier: MPL-2.0
"""The declarations that a command works from: ``--declare``."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from collections.abc import Sequence

from metlog import catalogue

__all__ = ["add_option", "load"]

INSTALLED = ("django_metlog",)
"""Packages of this family; each declares its metrics in its module ``catalogue``."""


def add_option(parser: argparse.ArgumentParser) -> None:
    """Add the option to a command."""
    parser.add_argument(
        "--declare",
        action="append",
        default=[],
        metavar="MODULE",
        help="a module that declares metrics when it is imported; may be repeated; "
        "default: the catalogue of django-metlog, if that is installed",
    )


def load(modules: Sequence[str]) -> str | None:
    """Import the modules that declare metrics; return what is wrong, or None."""
    wanted = modules or [
        f"{package}.catalogue"
        for package in INSTALLED
        if importlib.util.find_spec(package)
    ]
    for module in wanted:
        try:
            importlib.import_module(module)
        except Exception as error:
            return (
                f"expected a module that declares metrics, got {module!r}: "
                f"{type(error).__name__}: {error}"
            )
    if not any(True for _ in catalogue.metrics()):
        return "expected declared metrics, got none; name a module with --declare"
    return None
