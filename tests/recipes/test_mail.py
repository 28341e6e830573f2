from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.urls import path

from progress_widget.bars import ProgressBar

pytestmark = pytest.mark.django_db
urlpatterns = [path("harvests/<int:pk>/", lambda request, pk: None, name="harvest")]


def test_mail_tells_the_numbers_and_links_to_the_page(
    follow, settings, request_of, mailoutbox, django_user_model
):
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    settings.ROOT_URLCONF = "tests.recipes.test_mail"
    ProgressBar("kelp", total=8, step="Drying").update(progress=3)
    ann = django_user_model(pk=1, email="ann@example.com")
    harvest = SimpleNamespace(pk=5, name="Bay 5", task_id="kelp")

    follow("E-mail")["send_progress"](request_of(ann), harvest)

    [mail] = mailoutbox
    assert (mail.to, mail.subject) == (["ann@example.com"], "Bay 5: 37.5%")
    assert mail.body.split("\n") == [
        "Bay 5: 37.5%, Drying",
        "http://testserver/harvests/5/",
        "",
    ]
