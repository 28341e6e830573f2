"""House rules that no other tool checks."""

from __future__ import annotations

import ast
import gzip
import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from django.template.loader import get_template

import progress_widget

PACKAGE = Path(progress_widget.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
RENDERING = {
    "render",
    "render_to_string",
    "get_template",
    "select_template",
    "from_string",
    "loader",
    "Template",
    "TemplateResponse",
    "SimpleTemplateResponse",
}


def renders(module: Path) -> bool:
    """Whether a module imports from Django, or calls, what turns a template into text.

    What a tag encloses belongs to the template that is being rendered.
    """
    nodes = list(ast.walk(ast.parse(module.read_text())))
    imported = {
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("django")
        for alias in node.names
    }
    called = {
        node.func.attr
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if ast.unparse(node.func.value) not in ("rendering", "self.nodelist")
    }
    return bool(RENDERING & (imported | called))


def test_rendering_alone_renders_templates():
    assert [module.name for module in MODULES if renders(module)] == ["rendering.py"]


def test_htmx_attributes_stand_in_two_templates():
    having = [path.name for path in TEMPLATES if re.search(r"\bhx-[a-z]", path.read_text())]

    assert having == ["progressbar.html", "tray.html"]


def test_no_module_writes_htmx_attributes():
    having = [path.name for path in MODULES if re.search(r"\bhx-[a-z]", path.read_text())]

    assert having == []


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_loads_all_that_it_uses(path):
    get_template(path.relative_to(PACKAGE / "templates").as_posix())


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_template_needs_no_inline_style_or_script(path):
    tags = BeautifulSoup(path.read_text(), "html.parser").find_all(True)

    assert not [tag for tag in tags if tag.name in ("style", "script")]
    assert not [name for tag in tags for name in tag.attrs if name == "style"]
    assert not [name for tag in tags for name in tag.attrs if name.startswith(("on", "hx-on"))]


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("progress_widget", 8192),
        ("progress_tray", 2560),
        ("progress_admin", 2560),
        ("progress_tasks", 1536),
    ],
)
def test_stylesheet_is_small(name, most):
    sheet = PACKAGE / "static" / "progress_widget" / f"{name}.css"

    assert sheet.stat().st_size <= most


def test_script_is_small():
    script = (PACKAGE / "static" / "progress_widget" / "progress_widget.js").read_text()
    lines = (line.strip() for line in re.sub(r"(^|\s)//.*", "", script).splitlines())

    # 1.5 kB after a minifier, which shortens the names too.
    assert len(gzip.compress("\n".join(lines).encode())) <= 2000


def test_no_module_is_long():
    lines = {path.relative_to(PACKAGE): len(path.read_text().splitlines()) for path in MODULES}

    assert {path: count for path, count in lines.items() if count >= 260} == {}


def test_no_module_is_named_for_nothing():
    assert not [path.name for path in MODULES if path.name in ("utils.py", "helpers.py")]
