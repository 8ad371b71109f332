# SPDX-License-Identifier: MPL-2.0
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.views.generic import View

try:
    from django.http import StreamingHttpResponse
except ImportError:  # which Django 1.4 does not have, and is not asked for
    StreamingHttpResponse = None


def page(request):
    return HttpResponse("here")


class Cart(View):
    def get(self, request):
        return HttpResponse("empty")


def who(request):
    return HttpResponse(request.user.username)


def gone(request):
    raise Http404


def forbidden(request):
    raise PermissionDenied


def fails(request):
    return 1 // 0


def export(request):
    return StreamingHttpResponse(["a", "b"])


def template(request):
    return TemplateResponse(request, "page.html", {})


def rendered(request):
    return render(request, "page.html", {})


def handler403(request, exception=None):
    return HttpResponse("no", status=403)


def handler404(request, exception=None):
    return HttpResponse("no", status=404)


def handler500(request):
    return HttpResponse("sorry", status=500)
