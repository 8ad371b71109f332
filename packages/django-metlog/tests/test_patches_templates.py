# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import django
import pytest
from django.http import HttpRequest
from django.shortcuts import render
from django.template import Context, TemplateDoesNotExist, engines
from django.template import Template as EngineTemplate
from django.template.backends.django import Template
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.test import override_settings
from sending import Sent

from django_metlog.patches import templates

FILES = {
    "page.html": "{% include 'part.html' %}{{ form }}",
    "part.html": "part",
    "shop/list.html": "list",
    "broken.html": "{% include missing %}",
    "jinja/page.html": "{{ 1 + 1 }}",
}


@pytest.fixture
def patched(tmp_path: Path) -> Iterator[None]:
    """Some templates, and their renders timed."""
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    backends = "django.template.backends"
    engine = {"DIRS": [tmp_path], "APP_DIRS": True, "OPTIONS": {}}
    jinja = {"DIRS": [tmp_path / "jinja"], "OPTIONS": {}}
    with override_settings(
        TEMPLATES=[
            {"BACKEND": f"{backends}.django.DjangoTemplates", **engine},
            {"BACKEND": f"{backends}.jinja2.Jinja2", **jinja},
        ]
    ):
        templates.patch()
        yield
        templates.unpatch()


def test_every_way_to_render(patched: None, sent: Sent) -> None:
    """Views, helpers and template responses: each render is one time, by name."""
    render(HttpRequest(), "shop/list.html")
    render_to_string("shop/list.html")
    TemplateResponse(HttpRequest(), "shop/list.html").render()
    assert sent.names() == 3 * ["template.shop_list_html"]
    assert all((one.value or 0) > 0 for one in sent.captured)


def test_what_a_template_renders_in_turn(patched: None, sent: Sent) -> None:
    """Includes and widgets of forms are part of the template around them."""
    from django import forms

    class Form(forms.Form):
        title = forms.CharField()

    form = Form()
    text = render_to_string("page.html", {"form": form})
    assert 'name="title"' in text
    assert sent.names() == ["template.page_html"]
    sent.clear()
    str(form)
    assert sent.names() == ["template.django_forms_div_html"]


def test_templates_made_from_text(patched: None, sent: Sent) -> None:
    """They have no name, so they share one."""
    assert engines["django"].from_string("{{ a }}").render({"a": 1}) == "1"
    assert engines["jinja2"].from_string("{{ a }}").render({"a": 2}) == "2"
    assert sent.names() == ["template.inline", "template.inline"]


def test_jinja2(patched: None, sent: Sent) -> None:
    """Jinja2's templates are timed as well."""
    assert render_to_string("page.html", using="jinja2") == "2"
    assert sent.names() == ["template.page_html"]


def test_partials(patched: None, sent: Sent, tmp_path: Path) -> None:
    """A partial of Django 6 has its page's name and its own."""
    text = "{% partialdef aside %}aside{% endpartialdef %}all"
    (tmp_path / "parts.html").write_text(text)
    assert render_to_string("parts.html#aside") == "aside"
    assert sent.names() == ["template.parts_html_aside"]


if django.VERSION < (6, 0):
    del test_partials


def test_an_error(patched: None, sent: Sent) -> None:
    """A render that fails took its time too, and fails as it would."""
    with pytest.raises(TemplateDoesNotExist):
        render_to_string("broken.html", {"missing": "nowhere.html"})
    render_to_string("shop/list.html")
    assert sent.names() == ["template.broken_html", "template.shop_list_html"]


def test_an_engine_s_own_templates(patched: None, sent: Sent) -> None:
    """What does not go through a backend is not measured."""
    EngineTemplate("x").render(Context())
    assert sent == []


def test_unpatch(sent: Sent) -> None:
    """Rendering is what it was."""
    before = vars(Template)["render"]
    templates.patch()
    templates.patch()
    assert vars(Template)["render"] is not before
    templates.unpatch()
    assert vars(Template)["render"] is before
    engines["django"].from_string("x").render()
    assert sent == []


def test_without_jinja2(monkeypatch: Any, sent: Sent) -> None:
    """Jinja2 need not be installed."""
    templates._swaps.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    monkeypatch.delitem(sys.modules, "django.template.backends.jinja2", raising=False)
    templates.patch()
    engines["django"].from_string("x").render()
    templates.unpatch()
    templates._swaps.cache_clear()
    assert sent.names() == ["template.inline"]


class Hostile:
    """Raises whatever it is asked."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError("not yours")


class Unreadable(str):
    __slots__ = ()

    def __str__(self) -> str:
        raise RuntimeError("not yours")


ODD: dict[str, tuple[str, Any]] = {
    "hostile origin": ("origin", Hostile),
    "no origin": ("origin", lambda: None),
    "path": ("name", lambda: Path("page.html")),
    "number": ("name", lambda: 7),
    "unreadable": ("name", lambda: Unreadable("page.html")),
    "hostile name": ("name", Hostile),
}


@pytest.mark.parametrize("odd", ODD)
def test_a_template_that_is_odd(patched: None, sent: Any, odd: str) -> None:
    """The page is rendered, whatever the template says of itself."""
    template: Any = engines["django"].from_string("a page")
    template.template.name = "page.html"
    attribute, value = ODD[odd]
    setattr(template.template, attribute, value())
    assert template.render() == "a page"
