# SPDX-License-Identifier: MPL-2.0
"""What else can be measured: one module each, named in ``METLOG_PATCHES``.

Importing one changes nothing. ``patch()`` turns it on and ``unpatch()`` off again;
either may be called twice.
"""
