# SPDX-License-Identifier: MPL-2.0
"""What else can be measured, each in a module to be named in ``METLOG_PATCHES``.

Importing one changes nothing. ``patch()`` turns it on and ``unpatch()`` off again; both
are idempotent.
"""
