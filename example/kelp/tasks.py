"""The tasks: each shows a way to report progress."""

from __future__ import annotations

import csv
import os
import random
import signal
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from celery import Task, shared_task
from django.conf import settings
from django.db import transaction

from kelp.models import Harvest, LogBook
from progress_widget.bars import ProgressBar
from progress_widget.exceptions import Cancelled

SITES = ("Finnøya", "Gullholmen", "Kråkvåg", "Skjervøy", "Sula")
SPECIES = ("Dulse", "Oarweed", "Sugar kelp", "Winged kelp")


@shared_task(bind=True, throws=(Cancelled,))
def dry_kelp(self: Task, items: int, seconds: float, fail_at: int | None = None) -> None:
    bar = ProgressBar(self.request.id, total=items, step="Lighting the oven…")
    for leaf in bar.track(range(1, items + 1), stop=True):
        bar.update(step=f"Drying leaf {leaf}…")
        time.sleep(seconds / items)
        if leaf == fail_at:
            raise RuntimeError("the oven's password is hunter2, which no page shows")


@shared_task(bind=True, throws=(Cancelled,))
def import_log_book(self: Task, pk: int) -> None:
    book = LogBook.objects.get(pk=pk)
    bar = ProgressBar(self.request.id, total=book.lines, step="Opening the log book…")
    for line in bar.track(range(1, book.lines + 1), stop=True):
        bar.update(step=f"Reading line {line}…")
        Harvest.objects.create(
            site=random.choice(SITES),
            species=random.choice(SPECIES),
            kilograms=random.randint(20, 900),
            cut_on=date.today() - timedelta(days=line),
        )
        time.sleep(0.1)


@shared_task(bind=True, throws=(Cancelled,))
def weigh_again(self: Task, pks: list[int]) -> None:
    bar = ProgressBar(self.request.id, total=len(pks), step="Adjusting the scales…")
    for harvest in bar.track(Harvest.objects.filter(pk__in=pks), stop=True):
        bar.update(step=f"Weighing {harvest.species}, {harvest.site}…")
        harvest.kilograms = random.randint(20, 900)
        harvest.save()
        time.sleep(0.3)


def csv_path() -> Path:
    return settings.CSV_DIR / "harvest.csv"


@shared_task(bind=True)
def make_csv(self: Task, rows: int) -> None:
    unfinished = csv_path().with_suffix(f".{self.request.id}")
    with (
        ProgressBar(self.request.id, total=rows, step="Weighing the harvest…") as bar,
        unfinished.open("w", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file)
        writer.writerow(("site", "species", "kilograms", "cut_on"))
        for number in bar.track(range(rows)):
            day = date(2020, 1, 1) + timedelta(days=number % 1500)
            weight = random.randint(20, 900)
            writer.writerow((random.choice(SITES), random.choice(SPECIES), weight, day))
    unfinished.replace(csv_path())


@shared_task(bind=True)
def import_csv(self: Task) -> None:
    with csv_path().open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with ProgressBar(self.request.id, total=len(rows), step="Emptying the table…") as bar:
        Harvest.objects.all().delete()
        bar.update(step="Writing rows to the table…")
        for row in bar.track(rows):
            Harvest.objects.create(**row)


@shared_task(bind=True)
def fail_with_message(self: Task) -> None:
    bar = ProgressBar(self.request.id, total=20, step="Filling the racks…")
    for leaf in bar.track(range(20)):
        if leaf == 8:
            bar.fail("All drying racks are full. Empty one, then start this again.")
            return
        time.sleep(0.5)


@shared_task(bind=True)
def raise_exception(self: Task) -> None:
    bar = ProgressBar(self.request.id, total=20, step="Calling the boat…")
    for mile in bar.track(range(20)):
        if mile == 8:
            raise ConnectionError("radio://skipper:hunter2@boat is out of reach")
        time.sleep(0.5)


@shared_task(bind=True, max_retries=1)
def retry_once(self: Task) -> None:
    with ProgressBar(self.request.id, total=16, step="Rowing out…") as bar:
        for stroke in bar.track(range(16)):
            if stroke == 8 and self.request.retries == 0:
                raise self.retry(countdown=4)
            time.sleep(0.5)


@shared_task(bind=True, throws=(Cancelled,))
def take_a_minute(self: Task) -> None:
    bar = ProgressBar(self.request.id, total=60, step="Waiting for the tide…")
    for _second in bar.track(range(60), stop=True):
        time.sleep(1)


@shared_task(bind=True)
def be_killed(self: Task) -> None:
    bar = ProgressBar(self.request.id, total=20, step="Sailing into the storm…")
    for mile in bar.track(range(20)):
        if mile == 8:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(0.5)


@shared_task(bind=True)
def work_in_transaction(self: Task) -> None:
    bar = ProgressBar(self.request.id, total=12, step="Counting behind closed doors…")
    with transaction.atomic():
        for _crate in bar.track(range(12)):
            time.sleep(0.5)


@shared_task(bind=True)
def count_the_unknown(self: Task) -> None:
    with ProgressBar(self.request.id, total=None, step="Counting fish…") as bar:
        for fish in bar.track(passing_fish()):
            bar.update(step=f"Counting fish, the last was a {fish}…")


def passing_fish() -> Iterator[str]:
    for _moment in range(24):
        time.sleep(0.4)
        yield random.choice(("cod", "haddock", "herring", "saithe"))


@shared_task
def dry_rack(number: int) -> None:
    time.sleep(random.uniform(0.3, 1.5))
    if number % 10 == 7:
        raise RuntimeError(f"rack {number} is broken, and no page shows that its key is hunter2")
