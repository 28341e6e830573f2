"""No recipe is without a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.recipes import document

TESTS = Path(__file__).parents[1]
PICTURES = sorted((TESTS.parent / "docs" / "images").iterdir())


@pytest.mark.parametrize("heading", document.SECTIONS)
def test_each_block_of_a_recipe_is_a_file_of_its_own(heading):
    assert len(document.files(heading)) == document.SECTIONS[heading].count("```") / 2


@pytest.mark.parametrize("heading", document.SECTIONS)
def test_each_recipe_is_tested(heading):
    tests = [*(TESTS / "recipes").glob("*.py"), TESTS / "browser" / "test_recipes.py"]

    assert any(f'"{heading}"' in test.read_text() for test in tests)


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_pictures_are_small(picture):
    assert picture.stat().st_size < 60_000
