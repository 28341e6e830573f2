"""Does the broker without a server lose messages? ``python -m benchmarks.stress`` counts.

Messages are published one by one while two workers poll; each task writes its number to a file.
``--broker filesystem`` does the same with kombu's filesystem transport, which this project used
before: sooner or later, a worker dies of it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

WORKERS = 2
PATIENCE = 20.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--broker", choices=["sqlite", "filesystem"], default="sqlite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PROGRESS_BENCH_FOLDER"] = folder
        os.environ["PROGRESS_BENCH_BROKER"] = options.broker
        return run(options.messages)


def run(messages: int) -> int:
    """Publish, wait, count and print the result; return 1 if anything is wrong."""
    from benchmarks.stress_app import app, folder, note

    workers = [started_worker(folder, number) for number in range(WORKERS)]
    began = time.monotonic()
    pings = answers = 0
    for number in range(messages):
        note.delay(number)
        if number % 1000 == 999:
            pings += WORKERS
            answers += len(app.control.ping(timeout=PATIENCE, limit=WORKERS))
        if number % 100 == 99 and dead(workers):
            messages = number + 1
            break
    counted = wait_for_all(folder, messages)
    seconds = time.monotonic() - began

    doubled = sum(times - 1 for times in counted.values())
    wrong = [messages - len(counted), doubled, len(dead(workers))]
    print(
        f"{app.conf.broker_url.partition(':')[0]}: published {messages:,} in {seconds:.0f} s, "
        f"lost {wrong[0]}, doubled {wrong[1]}, workers dead {wrong[2]} of {WORKERS}, "
        f"pings answered {answers} of {pings}"
    )
    for worker in dead(workers):
        print(last_line(worker))
    for worker in workers:
        worker.terminate()
        worker.wait()
    return int(any(wrong) or answers < pings)


def started_worker(folder: Path, number: int) -> subprocess.Popen[bytes]:
    """Start a worker, and wait until it is ready."""
    log = folder / f"{number}.log"
    command = f"celery -A benchmarks.stress_app worker -c 2 -n {number}@stress --loglevel INFO"
    with log.open("wb") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", *command.split()], stdout=out, stderr=subprocess.STDOUT
        )
    worker.log = log
    while " ready." not in log.read_text():
        if worker.poll() is not None:
            sys.exit(log.read_text())
        time.sleep(0.1)
    return worker


def dead(workers: list[subprocess.Popen[bytes]]) -> list[subprocess.Popen[bytes]]:
    return [worker for worker in workers if worker.poll() is not None]


def wait_for_all(folder: Path, messages: int) -> Counter[str]:
    """Return how often each number was written, once all were or no more are coming."""
    counted, changed = noted(folder), time.monotonic()
    while len(counted) < messages and time.monotonic() < changed + PATIENCE:
        time.sleep(0.2)
        if (now := noted(folder)) != counted:
            counted, changed = now, time.monotonic()
    time.sleep(1)  # for messages that may come twice
    return noted(folder)


def noted(folder: Path) -> Counter[str]:
    return Counter(
        number for path in folder.glob("*.noted") for number in path.read_text().splitlines()
    )


def last_line(worker: subprocess.Popen[bytes]) -> str:
    """Return what a worker died of."""
    lines = worker.log.read_text().splitlines()
    return next((line for line in reversed(lines) if "Error" in line), lines[-1])


if __name__ == "__main__":
    sys.exit(main())
