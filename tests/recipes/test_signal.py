from __future__ import annotations

import pytest

from progress_widget.bars import ProgressBar
from progress_widget.models import TaskProgress
from progress_widget.signals import progress_finished

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def mails(follow, settings, mailoutbox):
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    tell_owner = follow("E-mail when a task has ended")["tell_owner"]
    yield mailoutbox
    progress_finished.disconnect(tell_owner, sender=TaskProgress)


def launched(**values):
    return TaskProgress.objects.create(
        task_id="kelp", label="Your import", link="/imports/5/", **values
    )


@pytest.mark.parametrize(("end", "said"), [("finalize", "is done"), ("fail", "could not be done")])
def test_mail_tells_the_owner_how_the_task_has_ended(mails, django_user_model, end, said):
    ann = django_user_model.objects.create_user("ann", email="ann@example.com")
    launched(owner=ann)

    getattr(ProgressBar("kelp"), end)()

    [mail] = mails
    assert (mail.to, mail.subject) == (["ann@example.com"], f"Your import {said}")
    assert mail.body == "https://kelp.example/imports/5/"


def test_nobody_is_told_of_a_task_without_an_owner(mails, caplog):
    launched()

    ProgressBar("kelp").finalize()

    assert (mails, caplog.records) == ([], [])
