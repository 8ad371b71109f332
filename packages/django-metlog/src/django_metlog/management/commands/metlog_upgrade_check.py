# SPDX-License-Identifier: MPL-2.0
"""``manage.py metlog_upgrade_check``: what to change, coming from another package."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from django_metlog import conf, upgrade

__all__ = ["Command"]


class Command(BaseCommand):
    """Exits with 1 if there is something to change."""

    help = (
        "Read this site's settings and list line by line what to change when coming "
        "from django-statsd-mozilla, django-metlog-mozilla, django-statsd or "
        "django-prometheus. If Django cannot start with them, "
        "`python -m django_metlog.upgrade mysite.settings` reads them without it."
    )
    # It must work even if the site does not.
    requires_system_checks: tuple[str, ...] = ()

    def handle(self, *args: object, **options: Any) -> None:
        settings = conf.everything()
        modules = [
            str(settings.get(name, "")) for name in ("SETTINGS_MODULE", "ROOT_URLCONF")
        ]
        lines = upgrade.report(settings, filter(None, modules))
        for line in lines:
            self.stdout.write(line)
        if lines:
            raise CommandError(f"{len(lines)} to change", returncode=1)
        self.stdout.write("Nothing to change.")
