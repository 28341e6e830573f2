from __future__ import annotations

from typing import Any

from django import forms


class DryingForm(forms.Form):
    """What the start page's task is to do."""

    items = forms.IntegerField(
        label="Leaves",
        min_value=1,
        max_value=1000,
        initial=60,
        help_text="How many to dry, 1–1000.",
    )
    seconds = forms.IntegerField(
        label="Seconds", min_value=1, max_value=300, initial=20, help_text="How long, 1–300."
    )
    fail_at = forms.IntegerField(
        label="Fail at leaf",
        min_value=1,
        required=False,
        help_text="Leave it empty to succeed.",
    )

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        items, fail_at = data.get("items"), data.get("fail_at")
        if items and fail_at and fail_at > items:
            self.add_error("fail_at", f"There are only {items} leaves.")
        return data


class CsvForm(forms.Form):
    """How long the generated file is to be."""

    rows = forms.IntegerField(
        label="Rows", min_value=1, max_value=50_000, initial=10_000, help_text="1–50000."
    )
