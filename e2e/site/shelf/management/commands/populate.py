# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import datetime
import random
from typing import TYPE_CHECKING, Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils.text import slugify

from shelf.models import Addon, Author, Day

if TYPE_CHECKING:
    from argparse import ArgumentParser

ADDONS = [
    ("Night Reader", "Ida Falk", "Dims the page when the sun goes down."),
    ("Tab Orchard", "Ida Falk", "Lets tabs grow in rows and fells the dead ones."),
    ("Pocket Ruler", "Tomás Reyes", "Measures anything on a page, in any unit."),
    ("Citation Fox", "Mei Lindqvist", "Turns an article into a reference."),
    ("Quiet Comments", "Mei Lindqvist", "Folds the comments until you ask for them."),
    ("Paper Trail", "Oluwaseun Ade", "Keeps where you found what you kept."),
    ("Second Glance", "Tomás Reyes", "Shows where a link leads before you follow it."),
    ("Slow Mail", "Oluwaseun Ade", "Holds a letter back for ten minutes."),
    ("Font Sampler", "Ida Falk", "Tries your typefaces on any site."),
    ("Recipe Only", "Mei Lindqvist", "Skips the story, shows the ingredients."),
    ("Weather Eye", "Tomás Reyes", "Tomorrow's weather in the corner of a tab."),
    ("Margin Notes", "Oluwaseun Ade", "Write beside the text, find it again."),
]
FIRST_DAY = datetime.date(2025, 1, 1)
DAYS = 365


class Command(BaseCommand):
    help = "Give the site its add-ons, a year of installs and a staff user."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", default="staff")
        parser.add_argument("--password", default="staff")

    @transaction.atomic
    def handle(self, *args: Any, **options: Any) -> None:
        """May be run again: what is there already stays as it is."""
        dice = random.Random(1)  # the same year of installs for everyone
        for name, author, summary in ADDONS:
            addon, made = Addon.objects.get_or_create(
                slug=slugify(name),
                defaults={
                    "name": name,
                    "summary": summary,
                    "author": Author.objects.get_or_create(name=author)[0],
                },
            )
            if made:
                usual = dice.randint(80, 900)
                Day.objects.bulk_create(
                    Day(
                        addon=addon,
                        date=FIRST_DAY + datetime.timedelta(days=number),
                        installs=round(usual * dice.uniform(0.6, 1.4)),
                    )
                    for number in range(DAYS)
                )

        users = get_user_model().objects
        if not users.filter(username=options["user"]).exists():
            users.create_superuser(options["user"], password=options["password"])
