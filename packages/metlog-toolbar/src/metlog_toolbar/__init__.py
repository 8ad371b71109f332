# SPDX-License-Identifier: MPL-2.0
"""A panel for django-debug-toolbar that shows what a page reports through metlog.

Add ``metlog_toolbar`` to ``INSTALLED_APPS`` and
``metlog_toolbar.panel.MetlogPanel`` to ``DEBUG_TOOLBAR_PANELS``.
"""
