from __future__ import annotations

from functools import partial

import pytest
from django.core import checks

from progress_widget.checks import check_settings, check_urls


def ids(messages):
    return [message.id for message in messages]


@pytest.fixture
def no_urls(settings):
    settings.ROOT_URLCONF = "tests.test_checks"


urlpatterns = []


def test_project_of_the_tests_passes_all_checks():
    assert checks.run_checks() == []


def test_missing_urls_are_told_at_start_with_the_line_to_add(no_urls):
    found = [message for message in checks.run_checks() if message.id == "progress_widget.E001"]

    assert 'include("progress_widget.urls")' in found[0].hint


def test_project_without_pages_needs_no_urls(settings):
    del settings.ROOT_URLCONF

    assert check_urls(None) == []


def test_included_urls_are_fine():
    assert check_urls(None) == []


NUMBERS = ["POLL_INTERVAL", "WRITE_INTERVAL", "STALLED_AFTER", "SILENT_AFTER", "RETENTION_DAYS"]


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [0, -1, "1", None, True, float("nan"), float("inf")])
def test_setting_that_is_no_positive_number_is_an_error(settings, name, value):
    setattr(settings, f"PROGRESS_WIDGET_{name}", value)

    found = check_settings(None)

    assert ids(found) == ["progress_widget.E002"]
    assert name in found[0].msg


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [1, 0.25])
def test_setting_that_is_a_positive_number_is_fine(settings, name, value):
    setattr(settings, f"PROGRESS_WIDGET_{name}", value)

    assert check_settings(None) == []


@pytest.mark.parametrize("path", ["no.such.module", "os.no_such_name", "nodots", "math.pi", 5])
def test_can_view_that_names_no_function_is_an_error(settings, path):
    settings.PROGRESS_WIDGET_CAN_VIEW = path

    found = check_settings(None)

    assert ids(found) == ["progress_widget.E003"]
    assert repr(path) in found[0].msg


async def asks_later(request, task_id):
    return True


class AsksLater:
    async def __call__(self, request, task_id):
        return True


asks_later_too = AsksLater()
asks_later_in_part = partial(asks_later, None)


@pytest.mark.parametrize("name", ["asks_later", "asks_later_too", "asks_later_in_part"])
def test_can_view_that_is_async_is_an_error(settings, name):
    settings.PROGRESS_WIDGET_CAN_VIEW = f"{__name__}.{name}"

    found = check_settings(None)

    assert ids(found) == ["progress_widget.E003"]
    assert "async" in found[0].msg


@pytest.mark.parametrize("path", [None, "os.path.exists"])
def test_can_view_that_names_a_function_or_is_none_is_fine(settings, path):
    settings.PROGRESS_WIDGET_CAN_VIEW = path

    assert check_settings(None) == []


def test_can_cancel_that_names_no_function_is_an_error(settings):
    settings.PROGRESS_WIDGET_CAN_CANCEL = "os.no_such_name"

    found = check_settings(None)

    assert ids(found) == ["progress_widget.E003"]
    assert "CAN_CANCEL" in found[0].msg


def test_write_context_that_names_no_function_is_an_error(settings):
    settings.PROGRESS_WIDGET_WRITE_CONTEXT = "os.no_such_name"

    found = check_settings(None)

    assert ids(found) == ["progress_widget.E003"]
    assert "WRITE_CONTEXT" in found[0].msg
    assert "f(task_id)" in found[0].hint


def test_missing_django_htmx_is_a_warning(settings):
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "django_htmx"]

    found = check_settings(None)

    assert ids(found) == ["progress_widget.W004"]
    assert found[0].level == checks.WARNING


@pytest.fixture
def templates(settings):
    """Configure one backend for templates, with these context processors."""

    def templates(*processors, backend="django.DjangoTemplates"):
        options = {"context_processors": processors} if processors else {}
        settings.TEMPLATES = [
            {"BACKEND": f"django.template.backends.{backend}", "NAME": "pages", "OPTIONS": options}
        ]

    return templates


REQUEST = "django.template.context_processors.request"
DEBUG = "django.template.context_processors.debug"


@pytest.mark.parametrize("processors", [[], [DEBUG]])
def test_templates_without_the_request_are_a_warning_with_the_line_to_add(templates, processors):
    templates(*processors)

    found = check_settings(None)

    assert ids(found) == ["progress_widget.W005"]
    assert found[0].level == checks.WARNING
    assert "'pages'" in found[0].msg
    assert f'"{REQUEST}"' in found[0].hint


@pytest.mark.parametrize("processors", [[REQUEST], [DEBUG, REQUEST]])
def test_templates_with_the_request_are_fine(templates, processors):
    templates(*processors)

    assert check_settings(None) == []


def test_templates_of_another_language_are_not_asked_for_the_request(templates):
    templates(backend="dummy.TemplateStrings")

    assert check_settings(None) == []
