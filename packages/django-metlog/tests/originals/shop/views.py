# SPDX-License-Identifier: MPL-2.0
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpResponse
from django.views.generic import View


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


def handler403(request, exception=None):
    return HttpResponse("no", status=403)


def handler404(request, exception=None):
    return HttpResponse("no", status=404)


def handler500(request):
    return HttpResponse("sorry", status=500)
