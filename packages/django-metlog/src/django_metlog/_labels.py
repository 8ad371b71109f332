# SPDX-License-Identifier: MPL-2.0
"""How many values a label can have: ``METLOG_VIEW_NAMES_MAX``, then ``other``.

Backends keep each value for ever, and some charge for it. So values that come from
outside, or are made at run time, must be limited.
"""

from __future__ import annotations

import logging

from django_metlog import conf
from metlog.wire.text import as_text

__all__ = ["OTHER", "capped"]

OTHER = "other"
"""What all further values of a label become."""

_logger = logging.getLogger("django_metlog")


def capped(label: str, value: object) -> str:
    """Return the text of ``value``, or `OTHER` beyond the label's limit of values.

    Empty text is not a value: it is a label that does not apply.
    """
    value = value if type(value) is str else as_text(value)
    if not value:
        return ""
    values, folding, max_values = _values()
    label = label.removesuffix("_")  # ``class`` has to be written ``class_`` in Python
    seen = values.setdefault(label, set())
    if value in seen:
        return value
    if len(seen) < max_values:
        seen.add(value)
        return value
    if label not in folding:
        folding.add(label)
        _logger.warning(
            "METLOG_VIEW_NAMES_MAX: %d values of the label %r were sent, further ones "
            "are called 'other'; the first of them is %.200r",
            max_values,
            label,
            value,
        )
    return OTHER


@conf.cached_until_changed
def _values() -> tuple[dict[str, set[str]], set[str], int]:
    """Return the values seen of each label, the labels that had more, and the limit."""
    return {}, set(), conf.get("METLOG_VIEW_NAMES_MAX")
