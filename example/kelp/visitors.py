"""Who visits the example."""

from __future__ import annotations

from django.contrib.auth import get_user_model, login
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest
from django.utils.crypto import get_random_string


def visitor(request: HttpRequest) -> AbstractBaseUser:
    """Return the user; whoever has none becomes a guest, so that what they start has an owner."""
    if not request.user.is_authenticated:
        guest = get_user_model().objects.create_user(f"guest-{get_random_string(8)}")
        login(request, guest)
    return request.user
