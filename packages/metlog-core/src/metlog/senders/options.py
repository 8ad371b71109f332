# SPDX-License-Identifier: MPL-2.0
"""The old names of `metlog.senders._delivery.options`."""

from metlog.senders._delivery import options

__all__ = ["one_of", "pairs", "seconds", "texts", "true_or_false", "types", "whole"]

one_of = options.choice
pairs = options.pairs
seconds = options.seconds
texts = options.strings
true_or_false = options.boolean
types = options.message_types
whole = options.integer
