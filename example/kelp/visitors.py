"""Who visits the example."""

from __future__ import annotations

from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils.crypto import get_random_string


def visitor(request: HttpRequest) -> AbstractBaseUser:
    """Return the user; whoever has none becomes a guest, so that what they start has an owner.

    The forms on the pages that a guest has open, or goes back to, stay valid: login() alone would
    renew the token that they hold.
    """
    if not request.user.is_authenticated:
        guest = get_user_model().objects.create_user(f"guest-{get_random_string(8)}")
        token = request.META.get("CSRF_COOKIE")
        login(request, guest)
        request.META["CSRF_COOKIE"] = token or request.META["CSRF_COOKIE"]
    return request.user
