# SPDX-License-Identifier: MPL-2.0
"""Run every Python sample of one page, as its reader would, in a process of its own.

``python docs/_ext/samples.py docs/tutorial.md``. The samples of a page share their
names, from the top; what a reader has already, such as Django's settings, is there.
"""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ENVIRONMENT = {"ENV": "test", "STATSD_HOST": "127.0.0.1"}
"""The variables that samples name."""

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """The line where each begins, with its code."""
    text = page.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(2)) + 1, found[2])
        for found in BLOCK.finditer(text)
        if found[1] == language
    ]


def readers_own(client: Any) -> dict[str, Any]:
    """What the reader of a sample has before the first one."""
    shop = ModuleType("shop")
    vars(shop)["views"] = SimpleNamespace(index=dict)
    sys.modules["shop"] = shop
    return {
        "__name__": "sample",
        "INSTALLED_APPS": [],
        "MIDDLEWARE": [],
        "urlpatterns": [],
        "make_thumbnail": dict,
        "client": client,
    }


def main(page: Path) -> int:
    os.environ.update(ENVIRONMENT)
    import django
    from django.conf import settings

    from metlog import MetlogClient
    from metlog.senders import DebugCaptureSender
    from metlog.testing import capture

    settings.configure(
        METLOG=MetlogClient(DebugCaptureSender(), "sample"),
        INSTALLED_APPS=["django_metlog", "debug_toolbar"],
        STATIC_URL="static/",
    )
    django.setup()
    names = readers_own(settings.METLOG)
    ran = 0
    for line, code in blocks(page, "python"):
        # The page's own line numbers in a traceback.
        tree = ast.increment_lineno(ast.parse(code), line - 1)
        exec(compile(tree, str(page), "exec"), names)
        for name, found in list(names.items()):
            if name.startswith("test_") and inspect.isfunction(found):
                with capture() as sent:
                    found(sent)
                del names[name]
        ran += 1
    print(f"{ran} samples of {page}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
