"""Many tasks have one bar; real workers are in workers/test_groups.py."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery, chain, chord, group, shared_task, signals
from celery.app.task import Context
from celery.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from django.contrib.auth.models import AnonymousUser, Group, User
from django.db import connection, transaction
from django.utils import timezone

from progress_widget import groups
from progress_widget.bars import ProgressBar
from progress_widget.groups import members_of, start_group
from progress_widget.lifecycle import celery as lifecycle
from progress_widget.models import GroupMember, State, TaskProgress
from progress_widget.queues import grouping
from progress_widget.queues.celery import GROUP_HEADER
from progress_widget.reading.sentences import numbers_of
from progress_widget.texts import ERROR, PARTLY, REVOKED, UNPUBLISHED
from progress_widget.writing.background import writer
from tests.test_launch import without_broker

pytestmark = pytest.mark.django_db(transaction=True)
rows = TaskProgress.objects
members = GroupMember.objects


@shared_task
def dry(leaf):
    if leaf < 0:
        raise ValueError("password=hunter2")
    return leaf


@shared_task
def pack(leaves):
    return sum(leaves)


@shared_task(bind=True)
def dry_with_bar(self, leaf):
    ProgressBar(self.request.id, total=leaf).update(progress=leaf)


@shared_task(bind=True)
def dry_late(self, group_id, heard):
    rows.ask_to_stop(group_id)
    heard.append(ProgressBar(self.request.id).is_cancelled)


@shared_task(bind=True)
def dry_again(self, leaf):
    if self.request.retries == 0:
        raise self.retry(countdown=0)


@pytest.fixture(autouse=True)
def drained(transactional_db) -> Iterator[Callable[[], None]]:
    """Let the thread write all that it has, and end."""
    yield writer.drain
    writer.drain()


@pytest.fixture
def published(monkeypatch) -> list[grouping.GroupWork]:
    """Return the groups that are published, in a list."""
    works: list[grouping.GroupWork] = []
    monkeypatch.setattr(groups.grouping, "publish_group", lambda work, ids: works.append(work))
    return works


@pytest.fixture
def harvest(published) -> TaskProgress:
    """A group of four tasks, of which nothing has been heard yet."""
    return start_group([dry.s(leaf).set(task_id=f"leaf {leaf}") for leaf in range(4)])


def end(*leaves: int, state: State = State.SUCCEEDED) -> list[bool]:
    group_id = rows.get().task_id
    return [members.end(group_id, [f"leaf {leaf}"], state) for leaf in leaves]


def said() -> tuple[str, int, int, str]:
    row = rows.get()
    return str(row.state), row.progress, row.failed, row.message


# Started.


def test_row_waits_for_all_tasks_of_the_group(published):
    otter = User.objects.create_user("otter")
    bay = Group.objects.create(name="Bay 3")

    row = start_group(
        (dry.s(leaf) for leaf in range(3)),
        owner=otter,
        label="Kelp harvest",
        about=bay,
        link="/bays/3/",
    )

    found = rows.get()
    assert (found.pk, found.state, found.progress, found.total) == (row.pk, State.WAITING, 0, 3)
    assert (found.owner, found.about) == (otter, bay)
    assert (found.label, found.link) == ("Kelp harvest", "/bays/3/")
    assert found.task_name == "tests.test_groups.dry"


def test_messages_name_the_group_and_have_the_ids_of_its_members(published):
    row = start_group([dry.s(1).set(headers={"bay": 3}), dry.s(2)])

    [work] = published
    sent = [(one.options["task_id"], one.options["headers"]) for one in work.work.tasks]
    assert sent[0][1] == {"bay": 3, GROUP_HEADER: row.task_id}
    assert sent[1][1] == {GROUP_HEADER: row.task_id}
    assert sorted(task_id for task_id, _ in sent) == sorted(members_of(row.task_id))


def test_group_of_celery_is_published_with_its_options(published):
    start_group(group(dry.s(1), dry.s(2)).set(queue="slow"))

    assert published[0].work.options["queue"] == "slow"
    assert rows.get().total == 2


@pytest.mark.parametrize("header", [[dry.s(1), dry.s(2)], group(dry.s(1), dry.s(2))])
def test_body_of_a_chord_counts_one(published, header):
    row = start_group(chord(header, pack.s()))

    assert row.total == 3
    assert row.task_name == "tests.test_groups.dry, tests.test_groups.pack"
    assert members.get(is_body=True).task_id == published[0].work.body.options["task_id"]


@pytest.mark.parametrize(
    "tasks",
    [
        [chain(dry.s(1), pack.s())],
        [group(dry.s(1), dry.s(2))],
        [dry],
        ["tests.test_groups.dry"],
        chord([dry.s(1)], chain(pack.s(), pack.s())),
        chord([dry.s(1)]),
    ],
    ids=["chain", "group", "task", "name", "body", "no body"],
)
def test_what_is_no_single_task_can_not_be_counted(published, tasks):
    with pytest.raises(TypeError, match="counts single tasks"):
        start_group(tasks)

    assert not rows.exists()


@pytest.mark.parametrize("tasks", [dry.s(1), chain(dry.s(1), pack.s()), None, "dry"])
def test_what_is_no_group_is_an_error(tasks):
    with pytest.raises(TypeError, match="takes signatures, a group or a chord"):
        start_group(tasks)


@pytest.mark.parametrize("tasks", [[], group([])])
def test_group_without_a_task_is_an_error(tasks):
    with pytest.raises(ValueError, match="at least one"):
        start_group(tasks)


def test_arguments_that_a_task_does_not_take_are_an_error_at_once():
    with pytest.raises(TypeError, match="leaf"):
        start_group([dry.s(1), dry.s()])

    assert not rows.exists()


def test_thousand_tasks_are_made_by_few_queries(published, django_assert_max_num_queries):
    tasks = [dry.s(leaf) for leaf in range(1000)]

    with django_assert_max_num_queries(8):
        start_group(tasks)

    assert members.count() == 1000


def test_id_that_comes_twice_starts_one_group(published):
    first, second = (start_group([dry.s(1)], task_id="kelp") for _ in range(2))

    assert first == second
    assert (len(published), members.count()) == (1, 1)


def test_id_of_another_owner_is_refused(published):
    start_group([dry.s(1)], task_id="kelp", owner=AnonymousUser())

    with pytest.raises(ValueError, match="another task"):
        start_group([dry.s(1)], task_id="kelp", owner=User.objects.create_user("otter"))


def test_transaction_that_is_rolled_back_publishes_nothing(published):
    with transaction.atomic():
        start_group([dry.s(1)])
        transaction.set_rollback(True)

    assert (published, rows.count(), members.count()) == ([], 0, 0)


def test_id_that_a_task_has_already_starts_nothing(published, harvest):
    with pytest.raises(Exception, match=r"(?i)unique|duplicate"):
        start_group([dry.s(5), dry.s(6).set(task_id="leaf 1")])

    assert (rows.count(), len(published)) == (1, 1)


# Counted.


def test_tasks_are_counted_at_their_ends_and_the_last_one_ends_the_group(harvest):
    over = end(0, 1, 2)
    before = said()
    over += end(3)

    assert (over, before) == ([False, False, False, True], ("running", 3, 0, ""))
    assert said() == ("succeeded", 4, 0, "")
    row = rows.get()
    assert (row.step, row.is_finished) == ("Complete", True)
    assert row.started_at <= row.finished_at


def test_group_of_which_some_have_failed_has_failed_when_all_have_ended(harvest):
    end(0, 1, state=State.FAILED)
    end(2)
    before = said()
    end(3)

    assert before == ("running", 3, 2, "")
    assert said() == ("failed", 4, 2, PARTLY)


def test_group_of_which_all_have_failed_does_not_say_that_some_have(harvest, page_bar):
    end(0, 1, 2, 3, state=State.FAILED)

    assert said() == ("failed", 4, 4, "")
    assert ERROR in page_bar(rows.get().task_id).text


@pytest.mark.parametrize(
    ("last", "state"), [(State.CANCELLED, "cancelled"), (State.SUCCEEDED, "succeeded")]
)
def test_group_that_somebody_wants_to_stop_is_cancelled_unless_all_is_done(harvest, last, state):
    rows.update(cancel_asked_at=timezone.now())

    end(0, 1, 2)
    end(3, state=last)

    assert said()[0] == state
    assert said()[3] == (REVOKED if state == "cancelled" else "")


@pytest.mark.parametrize("later", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_task_counts_once(harvest, later):
    end(0, state=State.FAILED)

    assert end(0, state=later) == [False]

    assert said() == ("running", 1, 1, "")
    assert members.get(task_id="leaf 0").ended_state == State.FAILED


def test_ended_group_takes_no_more(harvest):
    rows.end(harvest.task_id, 0, State.CANCELLED)

    end(0)
    members.begin(harvest.task_id)

    assert said() == ("cancelled", 0, 0, "")


def test_task_of_another_group_does_not_count(harvest, published):
    other = start_group([dry.s(1).set(task_id="other")])

    members.end(other.task_id, ["leaf 0"], State.SUCCEEDED)

    assert rows.get(pk=other.pk).progress == 0
    assert members.get(task_id="leaf 0").ended_state == ""


def test_members_that_have_not_ended_are_named(harvest):
    end(0, 2)

    assert sorted(members_of(harvest.task_id)) == ["leaf 1", "leaf 3"]
    assert str(members.get(task_id="leaf 1")) == "leaf 1"


def test_body_of_a_chord_whose_header_has_failed_fails_with_it(published):
    row = start_group(chord([dry.s(1), dry.s(2)], pack.s()))
    first, second = published[0].task_ids

    members.end(row.task_id, [first], State.FAILED)
    before = said()
    is_over = members.end(row.task_id, [second], State.SUCCEEDED)

    assert (before, is_over) == (("running", 1, 1, ""), True)
    assert said() == ("failed", 3, 2, PARTLY)


def test_body_of_a_chord_is_waited_for(published):
    row = start_group(chord([dry.s(1), dry.s(2)], pack.s()))
    work = published[0]

    over = [members.end(row.task_id, [one], State.SUCCEEDED) for one in work.task_ids]
    over.append(members.end(row.task_id, [work.body_id], State.SUCCEEDED))

    assert over == [False, False, True]
    assert said() == ("succeeded", 3, 0, "")


def test_ends_that_come_at_once_are_all_counted(published):
    tasks = [dry.s(leaf).set(task_id=f"leaf {leaf}") for leaf in range(40)]
    group_id = start_group(tasks).task_id
    over, errors = [], []

    def count(leaves: range) -> None:
        try:
            for leaf in leaves:
                state = State.FAILED if leaf % 10 == 0 else State.SUCCEEDED
                over.append(members.end(group_id, [f"leaf {leaf}"], state))
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=count, args=(range(start, 40, 4),)) for start in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (errors, over.count(True)) == ([], 1)
    assert said() == ("failed", 40, 4, PARTLY)


def test_rows_go_with_their_members(harvest):
    harvest.delete()

    assert members.count() == 0


# Shown.


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ({"progress": 12, "total": 40, "failed": 2}, "12 of 40, 2 failed"),
        ({"progress": 100, "total": 100, "failed": 2}, "100 of 100, 2 failed"),
        ({"progress": 50, "total": 100}, ""),
        ({"progress": 12, "total": 40}, "12 of 40"),
    ],
)
def test_numbers_say_how_many_have_failed(values, numbers):
    assert numbers_of(TaskProgress(**values)) == numbers


def test_page_says_that_some_of_it_could_not_be_done(harvest, page_bar):
    end(0, state=State.FAILED)
    end(1, 2, 3)

    text = page_bar(harvest.task_id).text

    assert "4 of 4, 1 failed" in text
    assert PARTLY in text


# Celery.


@pytest.mark.parametrize("leaves", [(1, 2, 3), (1, -2, 3)])
def test_eager_group_is_over_when_it_has_been_started(eager, leaves):
    row = start_group([dry.s(leaf) for leaf in leaves])

    failed = sum(leaf < 0 for leaf in leaves)
    assert (row.state, row.progress, row.failed) == ("failed" if failed else "succeeded", 3, failed)
    assert rows.count() == 1


def test_eager_chord_is_over_when_it_has_been_started(eager):
    row = start_group(chord([dry.s(1), dry.s(2)], pack.s()))

    assert (row.state, row.progress) == ("succeeded", 3)


def test_exception_of_an_eager_chord_goes_where_celery_lets_it(eager):
    with pytest.raises(ValueError, match="hunter2"):
        start_group(chord([dry.s(1), dry.s(-2)], pack.s()))

    assert said() == ("failed", 3, 2, PARTLY)


def test_task_of_a_group_may_have_a_bar_of_its_own(eager):
    start_group([dry_with_bar.s(5).set(task_id="leaf"), dry.s(1)], task_id="kelp")

    assert rows.get(task_id="kelp").state == rows.get(task_id="leaf").state == State.SUCCEEDED
    assert rows.get(task_id="leaf").total == 5


def test_bar_that_is_made_when_its_group_is_cancelled_knows_that(eager):
    heard: list[bool] = []

    start_group([dry_late.s("kelp", heard)], task_id="kelp")

    assert heard == [True]


def test_retried_task_counts_at_its_last_end(eager):
    row = start_group([dry_again.s(1), dry.s(2)])

    assert (row.state, row.progress, row.failed) == ("succeeded", 2, 0)


def test_end_of_a_group_is_announced_once(eager, told):
    row = start_group([dry.s(1), dry.s(-2)])

    assert told == [(row.task_id, "failed")]


def test_ends_that_only_the_main_process_sees_are_counted(harvest, drained, told):
    lifecycle.on_failure(dry, "leaf 0", WorkerLostError())
    lifecycle.on_revoked(Context(id="leaf 1"), expired=False)
    lifecycle.on_unknown("leaf 2")
    lifecycle.on_unknown("nobody's")
    drained()
    before = said()
    lifecycle.on_revoked(Context(id="leaf 1"), expired=False)
    end(3)

    assert before == ("running", 3, 3, "")
    assert said() == ("failed", 4, 3, PARTLY)
    assert told == []


def test_task_that_will_be_delivered_again_does_not_count(harvest, drained, monkeypatch):
    monkeypatch.setattr(dry, "acks_late", True)
    monkeypatch.setattr(dry, "acks_on_failure_or_timeout", False)
    monkeypatch.setattr(dry, "acks_on_timeout", False, raising=False)  # since Celery 5.7

    lifecycle.on_failure(dry, "leaf 0", TimeLimitExceeded())
    drained()

    assert said()[1:3] == (0, 0)


def test_last_end_from_outside_ends_and_announces_the_group(harvest, drained, told):
    end(0, 1, 2)

    lifecycle.on_unknown("leaf 3")
    drained()
    lifecycle.announcer.drain()

    assert told == [(harvest.task_id, "failed")]


@pytest.fixture
def run() -> Callable[..., Any]:
    """Make a worker's run of a task of the group, in this process."""

    def begin(task_id: str, **request: Any) -> Any:
        headers = {GROUP_HEADER: rows.get().task_id}
        given = {"called_directly": False, "is_eager": False} | request
        dry.request_stack.push(Context(id=task_id, headers=headers, **given))
        signals.task_prerun.send(dry, task_id=task_id, task=dry, args=(), kwargs={})

        def over(state: str | None, retval: object = None) -> None:
            signals.task_postrun.send(
                dry, task_id=task_id, task=dry, args=(), kwargs={}, retval=retval, state=state
            )
            dry.request_stack.pop()

        return over

    return begin


def test_group_runs_from_its_first_task_on(harvest, run, settings, drained):
    settings.PROGRESS_WIDGET_WRITE_INTERVAL = 0.01

    over = run("leaf 0")
    drained()
    began = said()
    over("SUCCESS")

    assert (began, said()) == (("running", 0, 0, ""), ("running", 1, 0, ""))
    assert rows.get().started_at is not None


def test_run_that_is_not_the_last_does_not_count(harvest, run):
    run("leaf 0")("RETRY")
    run("leaf 1")("IGNORED")

    assert said()[1:3] == (0, 0)


def test_run_that_is_broken_off_counts_as_failed(harvest, run):
    run("leaf 0")(None)

    assert said()[1:3] == (1, 1)


def test_task_outside_of_a_group_costs_no_query(django_assert_num_queries):
    with django_assert_num_queries(0):
        dry.apply((1,))


def test_count_that_the_database_refuses_is_made_up_for(harvest, run, refusing_database, drained):
    over = run("leaf 0")
    with refusing_database():
        over("SUCCESS")
    drained()

    assert said()[1:3] == (1, 0)


# Without a broker.


def test_without_a_broker_the_group_has_failed_and_the_page_goes_on(caplog, told):
    task = without_broker()

    row = start_group([task.s(1), task.s(2)])

    assert (row.state, row.message) == (State.FAILED, UNPUBLISHED)
    assert said() == ("failed", 0, 0, UNPUBLISHED)
    assert told == [(row.task_id, "failed")]
    assert "could not be published" in caplog.text


@pytest.fixture
def breaking(monkeypatch) -> Callable[[int], None]:
    """Let the broker take so many messages, and no more."""

    def breaking(after: int) -> None:
        def publish(work: grouping.GroupWork, published: set[str]) -> None:
            published.update(work.task_ids[:after])
            raise OSError

        monkeypatch.setattr(groups.grouping, "publish_group", publish)

    return breaking


def test_what_could_not_be_published_counts_as_failed_and_the_rest_goes_on(breaking, caplog):
    breaking(1)

    row = start_group([dry.s(leaf).set(task_id=f"leaf {leaf}") for leaf in range(3)])
    before = said()
    end(0)

    assert (row.failed, before) == (2, ("running", 2, 2, ""))
    assert said() == ("failed", 3, 2, PARTLY)


def test_soft_time_limit_of_the_task_that_starts_a_group_reaches_it(monkeypatch):
    def interrupt(work: grouping.GroupWork, published: set[str]) -> None:
        raise SoftTimeLimitExceeded

    monkeypatch.setattr(groups.grouping, "publish_group", interrupt)
    with pytest.raises(SoftTimeLimitExceeded):
        start_group([dry.s(1), dry.s(2)])

    assert said()[0] == State.FAILED


def test_group_whose_rest_could_not_be_published_may_be_over(monkeypatch, told, caplog):
    def publish(work: grouping.GroupWork, published: set[str]) -> None:
        published.add("leaf 0")
        end(0)
        raise OSError

    monkeypatch.setattr(groups.grouping, "publish_group", publish)

    row = start_group([dry.s(leaf).set(task_id=f"leaf {leaf}") for leaf in range(2)])

    assert (row.state, told) == ("failed", [(row.task_id, "failed")])


def test_rest_that_can_not_be_counted_is_logged(breaking, refusing_database, monkeypatch, caplog):
    breaking(1)
    refusing = refusing_database()
    publish = groups.grouping.publish_group

    def refuse(*args: Any) -> None:
        refusing.__enter__()
        publish(*args)

    monkeypatch.setattr(groups.grouping, "publish_group", refuse)

    start_group([dry.s(1), dry.s(2)])
    refusing.__exit__(None, None, None)

    assert "not all could be counted" in caplog.text
    assert said()[1:3] == (0, 0)


def task_of(**options: Any) -> Any:
    """Return a task of an app whose broker is in this process, where nobody takes from it."""
    busy = Celery("busy", broker="memory://", set_as_current=False, **options)

    def work(leaf):
        """Never run."""

    return busy.task(work, name="tests.busy", shared=False)


def test_published_tasks_are_known_one_by_one():
    task = task_of()
    work = grouping.group_work_of([task.s(1), task.s(object()), task.s(3)], "kelp")
    published: set[str] = set()
    listening = len(signals.after_task_publish.receivers)

    with pytest.raises(Exception, match=r"(?i)serializ|encod"):
        grouping.publish_group(work, published)

    assert published == {work.task_ids[0]}
    assert len(signals.after_task_publish.receivers) == listening


def test_chord_is_published_with_its_header_alone():
    task = task_of(backend="cache+memory://")
    work = grouping.group_work_of(chord([task.s(1), task.s(2)], task.s()), "kelp")
    published: set[str] = set()

    grouping.publish_group(work, published)

    assert set(work.task_ids) <= published
    assert work.body_id not in published
