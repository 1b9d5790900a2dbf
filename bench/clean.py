"""How fast the page of `retrain clean` answers, with many pictures and categories.

    PYTHONPATH=src:tests python bench/clean.py WORK [--pictures 20000] [--categories 100]

Pictures are drawn, 240 x 200 JPEGs, and findings are made up, so that nothing is trained. Printed
are the seconds until the page can be opened, the first time and again; the milliseconds of a choice
as a browser waits for it, at the median and of the slowest of a hundred; of a page of findings; and
of a hundred thumbnails, eight at a time as browsers ask for them, made for the first time and warm.
"""

import argparse
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from page import served
from pictures import draw
from retrain.evaluate.findings import Finding, write_findings

CHOICES, SHOWN, AT_ONCE = 100, 100, 8


def lay_out(root: Path, pictures: int, categories: int) -> None:
    """Draw the pictures, and make up a finding for every tenth of them."""
    if (root / "check.json").exists():
        return
    found = []
    for i in range(pictures):
        category = f"category {i % categories:03d}"
        path = root / "data" / category / f"{i:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        draw("noise", i, (240, 200)).save(path, quality=80)
        if i % 10 == 0:
            name = f"{category}/{path.name}"
            other = f"category {(i + 1) % categories:03d}"
            found.append(Finding("label", (name,), category, other, 1 - i / pictures, "Made up."))
    write_findings(root, found)


def timed(work: Callable[[], Any]) -> float:
    """Return how many milliseconds something takes."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def measured(root: Path) -> dict[str, float]:
    """Return the milliseconds of what a person waits for."""
    found = {}
    start = time.perf_counter()
    with served(root) as (address, _):
        found["seconds until it can be opened"] = time.perf_counter() - start
        own = address.split("?")[0]
        with httpx.Client(base_url=own, follow_redirects=True, timeout=600) as client:
            client.get(address)
            items = client.get("/api/items?kind=pictures").json()["items"]
            items += client.get("/api/items?kind=pictures&first=60").json()["items"]
            pictures = [item["pictures"][0] for item in items]
            found["a page of findings"] = timed(lambda: client.get("/api/items?open=1"))

            def choose(picture: dict[str, Any]) -> None:
                said = {"pictures": {picture["id"]: picture["sha256"]}, "choice": "keep"}
                client.post("/api/choose", json=said).raise_for_status()

            times = [timed(lambda p=p: choose(p)) for p in pictures[:CHOICES]]  # type: ignore[misc]
            found["a choice, median"], found["a choice, slowest"] = median(times), max(times)

            def thumbnails() -> None:
                addresses = [
                    f"/picture/{p['id']}/{p['sha256']}/small.jpg" for p in pictures[:SHOWN]
                ]
                with ThreadPoolExecutor(AT_ONCE) as pool:
                    for answer in pool.map(client.get, addresses):
                        answer.raise_for_status()

            found["100 thumbnails, first time"] = timed(thumbnails)
            found["100 thumbnails, warm"] = timed(thumbnails)
    return found


def main() -> None:
    """Measure twice: the second time the pictures are known."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("work", type=Path)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--categories", type=int, default=100)
    arguments = parser.parse_args()
    lay_out(arguments.work, arguments.pictures, arguments.categories)
    for _ in range(2):
        print(json.dumps(measured(arguments.work)), flush=True)


if __name__ == "__main__":
    main()
