# SPDX-License-Identifier: MPL-2.0
"""Tasks of Django 6, which have to be functions of a module."""

from __future__ import annotations

from django.tasks import task


@task
def double(number: int) -> int:
    return 2 * number


@task
async def adouble(number: int) -> int:
    return 2 * number


@task
def broken() -> None:
    raise ValueError
