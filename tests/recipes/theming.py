"""The admin of the kelp farm, as Django draws it and as themes do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page

from tests.recipes import document, project
from tests.recipes.project import Site

THEMES = {"stock": "django-jazzmin", "unfold": "django-unfold", "jazzmin": "django-jazzmin"}
"""Each with the recipe whose admin it has."""

SETTINGS = """
DATABASES["default"] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": BASE_DIR / "db.sqlite3",
    "OPTIONS": {
        "init_command": "PRAGMA journal_mode=WAL", "transaction_mode": "IMMEDIATE", "timeout": 20
    },
}
PROGRESS_WIDGET_POLL_INTERVAL = 0.1
JAZZMIN_SETTINGS = {"use_google_fonts_cdn": False}
JAZZMIN_UI_TWEAKS = {"default_theme_mode": "auto"}
"""
# That of Django's own tests of its admin.
POLICY = """
import django

if django.VERSION >= (6, 0):
    MIDDLEWARE = [*MIDDLEWARE, "django.middleware.csp.ContentSecurityPolicyMiddleware"]
    SECURE_CSP = {"default-src": ["'none'"]} | {
        f"{kind}-src": ["'self'"] for kind in ("connect", "img", "script", "style")
    }
"""
MODELS = """

class Plain(Harvest):
    class Meta:
        proxy = True
"""
ADMIN = '''
from kelp.models import Plain

admin.site.unregister(Harvest)


class FewAdmin(HarvestAdmin.__bases__[-1]):
    ordering = ["pk"]
    list_per_page = 10
    actions = ["do_nothing"]

    @admin.action(description="Do nothing")
    def do_nothing(self, request, harvests):
        pass


@admin.register(Plain)
class PlainAdmin(FewAdmin):
    """The page without what the package adds."""

    list_display = ["name", "task_id"]
    readonly_fields = ["task_id"]


@admin.register(Harvest)
class DryingAdmin(HarvestAdmin, FewAdmin):
    actions = ["dry"]
    progress_buttons = ["dry_first"]
    progress_object_buttons = ["dry_one"]

    @admin.action(description="Dry", permissions=["change"])
    def dry(self, request, harvests):
        for harvest in harvests:
            self.dry_one(request, harvest)

    @admin.action(description="Dry the first")
    def dry_first(self, request):
        self.dry_one(request, self.get_queryset(request).first())

    @admin.action(description="Dry this one")
    def dry_one(self, request, harvest):
        row = self.start_task(request, "kelp.tasks.dry", about=harvest, label=f"Dry {harvest}")
        harvest.task_id = row.task_id
        harvest.save()
'''


@contextmanager
def served(theme: str, folder: Path) -> Iterator[Site]:
    """Serve the admin in a theme, as its recipe says."""
    recipe = document.files(THEMES[theme])
    if theme == "stock":
        recipe["settings.py"] = POLICY
    own = {"settings.py": SETTINGS, "models.py": MODELS, "admin.py": ADMIN}
    project.write(folder, recipe, own)
    with project.served(folder) as site:
        yield site


def start(page: Page, url: str, *pks: int) -> None:
    """Start a task for each of these harvests by the action of the list."""
    page.goto(f"{url}/admin/kelp/harvest/")
    for pk in pks:
        page.locator(f"input[name=_selected_action][value='{pk}']").check()
    page.locator("select[name=action]").first.select_option("dry")
    page.locator("button[name=index]").first.click()


def report(page: Page, url: str, pk: int, progress: int, *, fail: str = "") -> None:
    """Report as the task of a harvest would."""
    page.request.get(f"{url}/report/{pk}/?progress={progress}&fail={fail}")
