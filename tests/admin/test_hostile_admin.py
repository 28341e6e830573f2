"""Objects, permissions and other mixins that nobody has thought of."""

from __future__ import annotations

from typing import Any

import pytest
from bs4 import BeautifulSoup
from django.contrib import admin
from django.contrib.admin.utils import quote
from django.contrib.auth.models import User
from django.contrib.messages.storage.fallback import FallbackStorage
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse

from progress_widget.admin import ProgressAdminMixin
from progress_widget.models import TaskProgress
from tests.admin.admins import HarvestAdmin
from tests.models import Bay, Harvest

pytestmark = pytest.mark.django_db
LIST = "/admin/tests/harvest/"


@pytest.fixture(autouse=True)
def superuser(log_in) -> Any:
    return log_in("superuser")


@pytest.fixture
def give_button(monkeypatch):
    """Give the page of a harvest one button, which the list has too, and its admin more methods."""

    def give_button(press: Any, **methods: Any) -> None:
        for name, method in {**methods, "look": press}.items():
            monkeypatch.setattr(HarvestAdmin, name, method, raising=False)
        monkeypatch.setattr(HarvestAdmin, "progress_object_buttons", ["look"])

    return give_button


@pytest.mark.parametrize("page", ["change", "delete", "history"])
@pytest.mark.parametrize("code", ["progress", "a/progress", "_2F", "a\nb"])
def test_pages_of_an_object_are_reached_whatever_its_key(client, code, page):
    Bay.objects.create(code=code)

    assert client.get(f"/admin/tests/bay/{quote(code)}/{page}/").status_code == 200


def test_object_whose_key_is_that_of_the_buttons_has_its_own(client):
    Bay.objects.create(code="progress")

    response = client.post("/admin/tests/bay/progress/progress/dry/")

    assert response["Location"] == "/admin/tests/bay/progress/change/"


@pytest.mark.parametrize("permission", ["add", "publish"])
def test_permission_may_be_one_that_has_no_object(client, harvest, give_button, permission):
    pressed = []

    @admin.action(permissions=[permission])
    def press(self: Any, request: HttpRequest, obj: Harvest) -> None:
        pressed.append(obj)

    # As Django documents it for actions.
    give_button(press, has_publish_permission=lambda self, request: True)

    page = client.get(f"{LIST}{harvest.pk}/change/")
    client.post(f"{LIST}{harvest.pk}/progress/look/")

    assert page.status_code == 200
    assert pressed == [harvest]


@pytest.mark.parametrize("permission", ["change", "publish"])
def test_permission_may_be_that_of_an_object(client, visit, harvest, give_button, permission):
    other = Harvest.objects.create(name="Summer")

    def has_permission(self: Any, request: HttpRequest, obj: Any = None) -> bool:
        return obj != harvest

    @admin.action(permissions=[permission])
    def press(self: Any, request: HttpRequest, obj: Harvest) -> None:
        pass

    give_button(press, **{f"has_{permission}_permission": has_permission})

    shown = [
        bool(visit(f"{LIST}{obj.pk}/change/").select(".progress-admin-button"))
        for obj in (harvest, other)
    ]
    statuses = [
        client.post(f"{LIST}{obj.pk}/progress/look/").status_code for obj in (harvest, other)
    ]

    assert shown == [False, True]
    assert statuses == [403, 302]


def test_object_that_is_gone_is_no_list(client, log_in, give_button):
    @admin.action(permissions=["publish"])
    def press(self: Any, request: HttpRequest, obj: Harvest) -> None:
        pytest.fail("There is no such object")

    give_button(press, has_publish_permission=lambda self, request, obj=None: True)
    log_in("outsider")

    assert client.post(f"{LIST}7/progress/look/").status_code == 403


class Plain:
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return StreamingHttpResponse(["plain"])

    def render_change_form(self, request: HttpRequest, *args: Any, **more: Any) -> HttpResponse:
        return HttpResponse("plain")


class Bare:
    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return TemplateResponse(request, "admin/404.html")

    def render_change_form(self, request: HttpRequest, *args: Any, **more: Any) -> HttpResponse:
        return TemplateResponse(request, "admin/404.html")


class Drawn:
    def changelist_view(self, *args: Any, **more: Any) -> HttpResponse:
        return super().changelist_view(*args, **more).render()

    def render_change_form(self, *args: Any, **more: Any) -> HttpResponse:
        return super().render_change_form(*args, **more).render()


class Listed:
    change_list_template = ["tests/none.html", "tests/change_list.html"]
    change_form_template = ["tests/none.html", "admin/change_form.html"]


@pytest.fixture
def answer(rf, superuser):
    """Let an admin that is registered nowhere answer for its list, or for an object's page."""

    def answer(model_admin: Any, obj: Any = None) -> HttpResponse:
        request = rf.get("/")
        request.user, request.session = superuser, {}
        request._messages = FallbackStorage(request)
        if obj is None:
            response = model_admin.changelist_view(request)
        else:
            response = model_admin.change_view(request, str(obj.pk))
        return getattr(response, "render", lambda: response)()

    return answer


@pytest.mark.parametrize("other", [Plain, Bare, Drawn, Listed])
def test_response_of_another_mixin_is_taken_as_it_is(answer, harvest, other):
    options = {"list_display": ["name", "progress"], "readonly_fields": ["progress"]}
    made = type("Made", (ProgressAdminMixin, other, admin.ModelAdmin), options)(Harvest, admin.site)

    assert [answer(made).status_code, answer(made, harvest).status_code] == [200, 200]


class MembershipInline(ProgressAdminMixin, admin.TabularInline):
    model = User.groups.through
    fields = readonly_fields = ["progress"]
    progress_task_field = "group_id"
    extra = 1


class UserAdmin(ProgressAdminMixin, admin.ModelAdmin):
    fields = ["username"]
    inlines = [MembershipInline]


def test_inline_shows_text(answer, superuser):
    group = superuser.groups.create(name="divers")
    TaskProgress.objects.create(task_id=str(group.pk), total=10, progress=4)

    page = BeautifulSoup(answer(UserAdmin(User, admin.site), superuser).content, "html.parser")

    texts = [cell.get_text(strip=True) for cell in page.select("td.field-progress")]
    assert texts == ["40.0%", "-", "-"]
