# SPDX-License-Identifier: MPL-2.0
"""Enqueue a number of tasks, and check that none of them failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from counted_site.tasks import one
from django.core.management.base import BaseCommand
from django.tasks import TaskResultStatus

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("number", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        for _ in range(options["number"]):
            assert one.enqueue().status != TaskResultStatus.FAILED
