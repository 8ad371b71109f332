# SPDX-License-Identifier: MPL-2.0
from __future__ import annotations

import re
from typing import Any

import django
import pytest
from django.contrib.staticfiles import finders
from django.template import Context, Engine, RequestContext, Template
from django.test import RequestFactory, override_settings

PLAIN = '<script src="/static/stick.js" data-url="/services/timing/record" defer>'
WITH_NONCE = re.compile(
    r'<script src="/static/stick\.js" data-url="/services/timing/record" defer'
    r' nonce="([\w-]+)"></script>'
)
TAGS = {"metlog": "django_metlog.templatetags.metlog"}


def render(tag: str = "{% stick %}", **context: Any) -> str:
    return Template("{% load metlog %}" + tag).render(Context(context))


def test_the_script_reports_to_the_record_view() -> None:
    """No inline code: the address is an attribute."""
    assert render() == f"{PLAIN}</script>"


def test_web_vitals_have_a_script_of_their_own() -> None:
    """It does what the other does, too."""
    assert render("{% stick vitals=True %}") == (
        '<script src="/static/stick-vitals.js" data-url="/services/timing/record" '
        "defer></script>"
    )


@pytest.mark.parametrize(
    "argument",
    [
        *("sample=RATE", "sample=site.rate", "sample=''", "sample=None"),
        *("sample=nothing", "sample=empty", 'sample=RATE|default:""'),
        *("sample=RATE|default_if_none:''", "sample=RATE|floatformat:2"),
        *("fields=FIELDS", "vitals=VITALS", "visits=site.visits"),
    ],
)
def test_a_variable_that_is_not_there(argument: str) -> None:
    """It says nothing: all pages report, as without it."""
    assert render(f"{{% stick {argument} %}}", nothing=None, empty="") == (
        f"{PLAIN}</script>"
    )


@pytest.mark.parametrize(
    ("arguments", "script", "attributes"),
    [
        ("visits=True", "stick-all.js", ' data-visits="true"'),
        ("errors=True", "stick-all.js", ' data-errors="true"'),
        ("attribution=True", "stick-all.js", ' data-attribution="true"'),
        (
            "vitals=True visits=True",
            "stick-all.js",
            ' data-visits="true" data-vitals="true"',
        ),
        (
            'fields="device_type connection"',
            "stick-all.js",
            ' data-fields="device_type connection"',
        ),
        ("sample=0.1", "stick.js", ' data-sample="0.1"'),
        ("vitals=True sample=0", "stick-vitals.js", ' data-sample="0"'),
    ],
)
def test_more_is_said_by_attributes(
    arguments: str, script: str, attributes: str
) -> None:
    """One script does all of it; the two small ones are there for who wants less."""
    assert render(f"{{% stick {arguments} %}}") == (
        f'<script src="/static/{script}" data-url="/services/timing/record" '
        f"defer{attributes}></script>"
    )


@pytest.mark.parametrize("name", ["stick.js", "stick-all.js", "stick-vitals.js"])
def test_the_scripts_are_among_the_static_files(name: str) -> None:
    """For ``collectstatic`` and ``runserver``."""
    assert finders.find(name)


def test_the_tag_carries_the_nonce_of_the_context() -> None:
    """The name that Django 6's context processor uses."""
    assert WITH_NONCE.fullmatch(render(csp_nonce="abc-123"))


def test_the_tag_carries_the_nonce_of_django_csp() -> None:
    """django-csp keeps it on the request."""
    request = RequestFactory().get("/")
    request.csp_nonce = "abc-123"  # type: ignore[attr-defined]
    assert WITH_NONCE.fullmatch(render(request=request))


def test_no_context_processor_is_needed() -> None:
    """What ``render(request, …)`` makes has the request, whatever the settings say."""
    request = RequestFactory().get("/")
    request.csp_nonce = "abc-123"  # type: ignore[attr-defined]
    template = Template("{% load metlog %}{% stick %}", engine=Engine(libraries=TAGS))
    assert WITH_NONCE.fullmatch(template.render(RequestContext(request)))


def test_a_nonce_is_escaped() -> None:
    """Whatever put it there."""
    assert 'nonce="&quot;&gt;"' in render(csp_nonce='">')


if django.VERSION >= (6,):  # which brings CSP

    def test_the_nonce_is_the_one_of_the_header(settings: Any) -> None:
        """With Django's own middleware, without its context processor: Django puts a
        nonce into the header once it has been used."""
        from django.http import HttpRequest, HttpResponse
        from django.middleware.csp import ContentSecurityPolicyMiddleware
        from django.utils.csp import CSP

        settings.SECURE_CSP = {"script-src": [CSP.NONCE, CSP.STRICT_DYNAMIC]}

        def get_response(request: HttpRequest) -> HttpResponse:
            return HttpResponse(render(request=request))

        middleware = ContentSecurityPolicyMiddleware(get_response)
        response = middleware(RequestFactory().get("/"))
        found = WITH_NONCE.fullmatch(response.content.decode())
        assert found
        policy = response.headers["Content-Security-Policy"]
        assert f"'nonce-{found[1]}'" in policy


def test_without_the_static_file_the_page_is_a_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As after an upgrade without ``collectstatic``: a storage with a manifest raises
    for what is not in it, and each page would."""
    manifest = "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    storages = {
        "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},
        "staticfiles": {"BACKEND": manifest},
    }
    with override_settings(STORAGES=storages, STATIC_ROOT="no-such-folder"):
        assert [render(), render("a{% stick vitals=True %}b")] == ["", "ab"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "Missing staticfiles manifest entry for 'stick.js'" in line
    assert "collectstatic" in line


@override_settings(ROOT_URLCONF="django.contrib.auth.urls")
def test_without_the_record_view_the_page_is_a_page(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has no script that reports nowhere; what to write is said on stderr, once."""
    assert [render(), render("a{% stick vitals=True %}b")] == ["", "ab"]
    (line,) = capsys.readouterr().err.splitlines()
    assert "path('services/timing/', include('django_metlog.urls'))" in line
