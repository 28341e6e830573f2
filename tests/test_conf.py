from __future__ import annotations

import pytest

from progress_widget.conf import conf

DEFAULTS = {
    "poll_interval": 1.0,
    "write_interval": 0.5,
    "background_writes": True,
    "can_view": None,
    "can_cancel": None,
    "cancel_terminates": False,
    "write_context": None,
    "stalled_after": 30.0,
    "silent_after": 600.0,
    "retention_days": 7.0,
}


def anybody(request, task_id):
    return True


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items(), ids=DEFAULTS)
def test_setting_has_a_default(settings, name, default):
    setting = f"PROGRESS_WIDGET_{name.upper()}"
    if hasattr(settings, setting):
        delattr(settings, setting)

    assert getattr(conf, name) == default


@pytest.mark.parametrize("name", [name for name, value in DEFAULTS.items() if type(value) is float])
def test_number_is_read_when_it_is_used(settings, name):
    setattr(settings, f"PROGRESS_WIDGET_{name.upper()}", 3)

    assert getattr(conf, name) == 3.0
    assert type(getattr(conf, name)) is float


def test_can_cancel_is_found_by_its_path(settings):
    settings.PROGRESS_WIDGET_CAN_CANCEL = "tests.test_conf.anybody"

    assert conf.can_cancel is anybody


@pytest.mark.parametrize("value", [False, 0, None])
def test_background_writes_can_be_switched_off(settings, value):
    settings.PROGRESS_WIDGET_BACKGROUND_WRITES = value

    assert conf.background_writes is False


def test_can_view_is_found_by_its_path(settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_conf.anybody"

    assert conf.can_view is anybody


def test_no_path_means_no_rule(settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = ""

    assert conf.can_view is None


def test_path_to_nothing_is_an_error(settings):
    settings.PROGRESS_WIDGET_CAN_VIEW = "tests.test_conf.nobody"

    with pytest.raises(ImportError, match="nobody"):
        conf.can_view  # noqa: B018  # the property does the look-up
