# SPDX-License-Identifier: MPL-2.0
"""``<!-- index: docker, kubernetes -->`` has the search lead to the heading above it.

A comment, because the pages are also read where nothing builds them: of a directive
such a reader would see an empty box.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

WORDS = re.compile(r"<!-- index: ([^>]+) -->\s*")


class IndexWords(SphinxTransform):
    """Put entries of the index that point to the heading in each comment's place."""

    default_priority = 400

    def apply(self, **kwargs: Any) -> None:
        for node in [*self.document.findall(nodes.raw)]:
            found = WORDS.fullmatch(node.astext())
            if found is None:
                continue
            (anchor, *_) = node.parent["ids"]  # of the section whose heading it follows
            entries = [
                ("single", word.strip(), anchor, "main", None)
                for word in found[1].split(",")
            ]
            node.replace_self(addnodes.index(entries=entries))


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_transform(IndexWords)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
