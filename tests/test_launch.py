"""A task and its row are started together; real workers are in workers/test_launch.py."""

from __future__ import annotations

import socket
from uuid import uuid4

import pytest
from celery import Celery, chain, shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import Error, transaction

from progress_widget import launch
from progress_widget.bars import ProgressBar
from progress_widget.exceptions import OutOfRange
from progress_widget.launch import start_task
from progress_widget.lookups import reference_to
from progress_widget.models import State, TaskProgress
from progress_widget.texts import UNPUBLISHED
from tests.celery import app

pytestmark = pytest.mark.django_db
rows = TaskProgress.objects


@shared_task
def dry(leaves, salt=False):
    """Take any number of leaves."""


@shared_task(bind=True)
def dry_with_bar(self, leaves):
    for _ in ProgressBar(self.request.id, step="Drying kelp...").track(range(leaves)):
        pass


@shared_task
def dry_wet(leaves):
    raise ValueError("password=hunter2")


@shared_task(bind=True)
def forget(self):
    rows.filter(task_id=self.request.id).delete()


@pytest.fixture
def otter():
    return User.objects.create_user("otter")


@pytest.fixture
def published(monkeypatch):
    """Return what is published, in a list: the signature and the id of each task."""
    calls = []
    monkeypatch.setattr(
        launch.queues, "publish", lambda work, task_id: calls.append((work, task_id))
    )
    return calls


@pytest.fixture
def eager():
    app.conf.task_always_eager = True
    yield
    app.conf.task_always_eager = app.conf.task_eager_propagates = False


def without_broker():
    """Return a task of an app whose broker refuses connections."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"amqp://127.0.0.1:{free.getsockname()[1]}//"
    lonely = Celery("lonely", broker=url, set_as_current=False)

    def harvest(leaves):
        """Never run."""

    return lonely.task(harvest, shared=False)


def test_row_waits_for_a_task_that_is_published_as_it_was_called(
    published, otter, django_capture_on_commit_callbacks
):
    bay = Group.objects.create(name="Bay 3")

    with django_capture_on_commit_callbacks(execute=True):
        row = start_task(
            dry, 7, owner=otter, label="Kelp harvest", about=bay, link="/bays/3/", total=7
        )

    [(work, task_id)] = published
    assert (work.task, work.args, task_id) == ("tests.test_launch.dry", (7,), row.task_id)
    found = rows.get()
    assert (found.pk, found.state, found.attempt) == (row.pk, State.WAITING, 0)
    assert found.task_name == "tests.test_launch.dry"
    assert (found.owner, found.about) == (otter, bay)
    assert (found.label, found.link, found.total) == ("Kelp harvest", "/bays/3/", 7)


def test_plain_launch_knows_no_more_than_the_task(published):
    row = start_task(dry, 7)

    found = rows.get()
    assert (found.owner, found.about, found.total) == (None, None, None)
    assert (found.label, found.link) == ("", "")
    assert (row.started_at, row.is_finished) == (None, False)


def test_times_of_the_row_are_the_databases(published):
    row = start_task(dry, 7)

    found = rows.for_tasks([row.task_id])[row.task_id]
    assert found.created_at == found.updated_at <= found.now
    assert row.created_at.tzinfo is not None


def test_launch_makes_one_query(published, otter, django_assert_num_queries):
    with django_assert_num_queries(1):
        start_task(dry, 7, owner=otter, label="Kelp harvest")


def test_launch_about_an_object_makes_two_queries_at_most(published, django_assert_max_num_queries):
    bay = Group.objects.create(name="Bay 3")

    with django_assert_max_num_queries(2):  # the first one for the content type, once a process
        start_task(dry, 7, about=bay)


def test_anonymous_visitor_owns_nothing(published):
    assert start_task(dry, 7, owner=AnonymousUser()).owner_id is None


def test_page_shows_the_bar_of_what_it_has_started(published, page_bar, django_assert_num_queries):
    row = start_task(dry, 7, label="Kelp harvest")

    with django_assert_num_queries(0):
        bar = page_bar(row)

    assert bar["data-state"] == "waiting"
    assert bar.get("hx-get")
    assert "Kelp harvest" in bar.text


def test_signature_says_what_the_task_takes_by_keyword_and_what_the_queue_is_told(
    published, django_capture_on_commit_callbacks
):
    work = dry.s(7, salt=True).set(queue="slow", countdown=60)

    with django_capture_on_commit_callbacks(execute=True):
        start_task(work, label="Kelp harvest")

    [(sent, _)] = published
    assert (sent.args, sent.kwargs) == ((7,), {"salt": True})
    assert sent.options == {"queue": "slow", "countdown": 60}


def test_task_that_is_known_to_the_worker_alone_is_called_by_its_name(published):
    assert start_task("far.away.dry", 7).task_name == "far.away.dry"
    assert start_task(app.signature("far.away.dry"), 7).task_name == "far.away.dry"


@pytest.mark.parametrize(
    "task", [len, chain(dry.si(1), dry.si(2)), None], ids=["function", "chain", "None"]
)
def test_what_is_no_task_is_an_error(task):
    with pytest.raises(TypeError, match="takes a Celery task"):
        start_task(task)

    assert not rows.exists()


def test_arguments_that_the_task_does_not_take_are_an_error_at_once():
    with pytest.raises(TypeError, match="leaves"):
        start_task(dry)

    assert not rows.exists()


def test_keyword_that_is_not_ours_is_an_error():
    with pytest.raises(TypeError, match="salt"):
        start_task(dry, 7, salt=True)


@pytest.mark.parametrize(
    ("error", "values"),
    [
        (ValueError, {"link": "/" * 1001}),
        (ValueError, {"link": "javascript:alert(1)"}),
        (ValueError, {"total": "many"}),
        (OutOfRange, {"total": -1}),
        (ValueError, {"about": Group()}),
        (ValueError, {"task_id": "x" * 256}),
    ],
)
def test_value_that_no_row_can_hold_is_an_error(error, values):
    with pytest.raises(error):
        start_task(dry, 7, **values)

    assert not rows.exists()


# After the commit.


@pytest.mark.django_db(transaction=True)
def test_task_is_published_once_the_row_is_committed(published):
    with transaction.atomic():
        start_task(dry, 7)
        before = list(published)

    assert before == []
    assert [task_id for _, task_id in published] == [rows.get().task_id]


@pytest.mark.django_db(transaction=True)
def test_transaction_that_is_rolled_back_publishes_nothing(published):
    with transaction.atomic():
        start_task(dry, 7)
        transaction.set_rollback(True)

    assert (published, rows.count()) == ([], 0)


@pytest.mark.django_db(transaction=True)
def test_without_a_broker_the_row_has_failed_and_the_page_goes_on(page_bar, caplog):
    row = start_task(without_broker(), 7)

    assert (row.state, row.message) == (State.FAILED, UNPUBLISHED)
    found = rows.get()
    assert (found.state, found.message, found.attempt) == (State.FAILED, UNPUBLISHED, 0)
    assert found.finished_at is not None
    assert UNPUBLISHED in page_bar(row).text
    assert "could not be published" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_published_is_announced(told):
    row = start_task(without_broker(), 7)

    assert told == [(row.task_id, "failed")]


@pytest.mark.django_db(transaction=True)
def test_what_no_message_can_hold_fails_as_well(caplog):
    row = start_task(dry, object())

    assert rows.get().state == row.state == State.FAILED
    assert "could not be published" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_soft_time_limit_of_the_task_that_starts_another_reaches_it(monkeypatch):
    def interrupt(work, task_id):
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(launch.queues, "publish", interrupt)
    with pytest.raises(SoftTimeLimitExceeded):
        start_task(dry, 7)

    assert rows.get().state == State.FAILED


@pytest.mark.django_db(transaction=True)
def test_row_that_a_worker_has_begun_is_left_to_it(monkeypatch):
    def publish(work, task_id):
        rows.begin(task_id)
        raise OSError("the message has arrived, its confirmation has not")

    monkeypatch.setattr(launch.queues, "publish", publish)

    start_task(dry, 7)

    assert rows.get().state == State.RUNNING


@pytest.mark.django_db(transaction=True)
def test_row_that_can_not_be_marked_waits(monkeypatch, refusing_database, caplog):
    refusing = refusing_database()

    def publish(work, task_id):
        refusing.__enter__()
        raise OSError

    monkeypatch.setattr(launch.queues, "publish", publish)

    start_task(dry, 7)
    refusing.__exit__(None, None, None)

    assert rows.get().state == State.WAITING
    assert "could not be marked as failed" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_row_that_can_not_be_made_is_an_error_of_the_page(refusing_database, published):
    with refusing_database(), pytest.raises(Error):
        start_task(dry, 7)

    assert published == []


# Twice.


def test_view_that_is_called_twice_starts_two_tasks(published, otter):
    first, second = (start_task(dry, 7, owner=otter) for _ in range(2))

    assert first.task_id != second.task_id


@pytest.mark.django_db(transaction=True)
def test_id_that_comes_twice_starts_one_task(published, otter):
    task_id = uuid4()

    first, second = (start_task(dry, 7, owner=otter, task_id=task_id) for _ in range(2))

    assert first == second == rows.get()
    assert [sent for _, sent in published] == [str(task_id)]


@pytest.mark.parametrize("other", [{"owner": None}, {"task": dry_wet}])
def test_id_of_another_task_is_refused(published, otter, other):
    start_task(dry, 7, owner=otter, task_id="kelp")

    with pytest.raises(ValueError, match="another task"):
        start_task(other.get("task", dry), 7, owner=other.get("owner", otter), task_id="kelp")


# Eagerly.


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("task", "state", "progress"),
    [(dry, "succeeded", 0), (dry_with_bar, "succeeded", 7), (dry_wet, "failed", 0)],
)
def test_eager_task_is_over_when_it_has_been_started(eager, task, state, progress):
    row = start_task(task, 7, label="Kelp harvest")

    assert (row.state, row.progress, row.attempt) == (state, progress, 1)
    assert (row.label, rows.get().state) == ("Kelp harvest", state)


@pytest.mark.django_db(transaction=True)
def test_eager_task_may_delete_its_row(eager):
    row = start_task(forget, label="Kelp harvest")

    assert (row.label, rows.count()) == ("Kelp harvest", 0)


@pytest.mark.django_db(transaction=True)
def test_exception_of_an_eager_task_goes_where_celery_is_told_to_let_it(eager):
    app.conf.task_eager_propagates = True

    with pytest.raises(ValueError, match="hunter2"):
        start_task(dry_wet, 7)

    assert rows.get().state == State.FAILED
    assert "hunter2" not in rows.get().message


def test_content_type_is_that_of_the_object(published):
    bay = Group.objects.create(name="Bay 3")

    row = start_task(dry, 7, about=bay)

    assert rows.newest_about([bay]) == {reference_to(bay): row}
