"""Job queues of Python: rq and Celery, a few jobs each through a worker of their own."""

import sys
import types

import celery
import redis
import rq
from celery.contrib.testing.worker import start_worker

from redis_page import HOST, PORT, URL, Page

page = Page()

# Workers find the work by its module's name.
jobs = types.ModuleType("jobs")
sys.modules["jobs"] = jobs


def job(function):
    function.__module__ = "jobs"
    setattr(jobs, function.__name__, function)
    return function


@job
def word_count(text):
    return len(text.split())


@job
def fail():
    raise ValueError("on purpose")


@page.example("rq: enqueue, work, results")
def _():
    connection = redis.Redis(HOST, PORT)
    queue = rq.Queue("default", connection=connection)
    first = queue.enqueue(jobs.word_count, "some words to count")
    broken = queue.enqueue(jobs.fail)
    after = queue.enqueue(jobs.word_count, "two words", depends_on=first)
    waiting = len(queue)
    worker = rq.SimpleWorker([queue], connection=connection)
    worked = worker.work(burst=True, logging_level="ERROR")
    return [
        waiting, worked, first.return_value(), first.get_status(), broken.get_status(refresh=True).value, after.return_value(), len(queue),
        len(queue.failed_job_registry), len(queue.finished_job_registry), broken.latest_result().exc_string.splitlines()[-1],
        rq.Worker.count(connection=connection),
    ]


@page.example("rq: retries and scheduled jobs")
def _():
    connection = redis.Redis(HOST, PORT)
    queue = rq.Queue("low", connection=connection)
    broken = queue.enqueue(jobs.fail, retry=rq.Retry(max=2))
    rq.SimpleWorker([queue], connection=connection).work(burst=True, logging_level="CRITICAL")
    return [broken.get_status(refresh=True).value, len(queue.failed_job_registry), queue.empty(), len(queue.scheduled_job_registry)]


@page.example("Celery: tasks, chains, groups, chords, results")
def _():
    app = celery.Celery("shop", broker=URL, backend=URL)
    app.conf.update(worker_hijack_root_logger=False, broker_connection_retry_on_startup=True)

    @app.task(name="shop.add")
    def add(x, y):
        return x + y

    @app.task(name="shop.total")
    def total(numbers):
        return sum(numbers)

    @app.task(name="shop.fails", bind=True, max_retries=1, default_retry_delay=0)
    def fails(self):
        raise self.retry(exc=ValueError("on purpose"))

    with start_worker(app, perform_ping_check=False, shutdown_timeout=20):
        one = add.delay(4, 4)
        chain = (add.s(1, 2) | add.s(10)).apply_async()
        group = celery.group(add.s(at, at) for at in range(4)).apply_async()
        chord = celery.chord((add.s(at, 1) for at in range(3)), total.s()).apply_async()
        broken = fails.delay()
        seen = [one.get(timeout=10), chain.get(timeout=10), group.get(timeout=10), chord.get(timeout=10)]
        seen += [repr(broken.get(timeout=10, propagate=False)), broken.status, one.status]
        one.forget()
    return seen


page.run()
