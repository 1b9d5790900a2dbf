"""Downloads lists of addresses; what has come once is never fetched again."""

import hashlib
import re
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from retrain.data.images import BadPicture, decode, extension
from retrain.data.origins import KEPT
from retrain.data.sources import place_for_new
from retrain.files import output_folder
from retrain.gather.addresses import Address, read_addresses
from retrain.gather.fetch import Failed, Fetcher, Limits
from retrain.gather.journal import Journal, open_journal
from retrain.gather.place import add
from retrain.progress import Reporter, counted

JOB = "download"
DUPLICATE, GONE, FAILED = "duplicate", "gone", "failed"  # GONE for good, FAILED for now
ENOUGH = 64  # pixels of a side; a JPEG is read to its end, but need not be computed in full
NAME = 16  # letters of the sha256 that name a file


@dataclass(frozen=True)
class HowToDownload:
    """How addresses are fetched.

    parallel: at the same time. per_host: of these, from one server.
    limits: what one address may cost.
    allow_private: whether private and loopback addresses are fetched.
    ignore_robots: whether robots.txt is not asked for.
    again: whether what was given up for good is tried again.
    """

    parallel: int = 32
    per_host: int = 6
    limits: Limits = field(default_factory=Limits)
    allow_private: bool = False
    ignore_robots: bool = False
    again: bool = False


@dataclass(frozen=True)
class Downloaded:
    """What came of a list.

    kept: new pictures by category. duplicates: addresses of pictures that were there already.
    before: addresses whose pictures an earlier start had fetched.
    given_up: addresses that an earlier start had given up for good.
    failed: how many addresses gave nothing, by reason.
    """

    kept: dict[str, int]
    duplicates: int
    before: int
    given_up: int
    failed: dict[str, int]
    seconds: float


def download(
    root: Path, addresses: Path, category: str | None, how: HowToDownload, report: Reporter
) -> Downloaded:
    """Fetch the pictures of a list into a workspace's data folder.

    A picture is named after its content and kept only if it decodes to its end. Each address has a
    row in sources.csv as soon as it is done, so that another start goes on from there.

    Args:
        root: the workspace; made if it is missing.
        addresses: a list, or a folder of lists; see `read_addresses`.
        category: of all addresses, or None where the list tells.
        how: limits, and what is allowed.
        report: hears what happens.

    Raises:
        DataError: there is no address. UsageError: there is no category.
        MachineError: the disk is full, or the workspace is in use.
    """
    begun = time.monotonic()
    listed, bad = read_addresses(addresses, category)
    for line in bad[:3]:
        report.warn(f"No http address, left out: {line!r}")
    if len(bad) > 3:
        report.warn(f"{len(bad) - 3} more lines are no http addresses and are left out.")
    root = output_folder(root)
    with open_journal(root, report.warn) as journal:
        wanted = list(_wanted(listed, journal, how.again))
        keeper = _Keeper(root / "data", journal)
        if how.ignore_robots:
            report.warn("robots.txt is ignored: servers are asked for what they ask not to fetch.")
        _fetch_all(wanted, keeper, how, report)
    settled = journal.of(JOB)
    given_up = sum(
        settled[one.url, one.category]["status"] == GONE for one in set(listed) - set(wanted)
    )
    before = len(listed) - len(wanted) - given_up
    kept = dict(sorted(keeper.kept.items()))
    failed = dict(keeper.failed.most_common())
    if bad:
        failed["no http address"] = len(bad)
    seconds = time.monotonic() - begun
    return Downloaded(kept, keeper.duplicates, before, given_up, failed, seconds)


def _wanted(listed: Sequence[Address], journal: Journal, again: bool) -> Iterator[Address]:
    """Yield what an earlier start did not settle."""
    done = journal.of(JOB)
    for address in listed:
        row = done.get((address.url, address.category))
        status = row["status"] if row else FAILED
        if status == FAILED or (again and status == GONE):
            yield address


def _fetch_all(
    addresses: Sequence[Address], keeper: "_Keeper", how: HowToDownload, report: Reporter
) -> None:
    """Fetch in threads; no server is asked for more at a time than it is fair to."""
    if not addresses:
        return
    report.say(f"Downloading {counted(len(addresses), 'address', 'addresses')}.")
    fetcher = Fetcher(how.limits, how.parallel, how.allow_private, how.ignore_robots)
    hosts: dict[str, deque[Address]] = defaultdict(deque)
    for address in addresses:
        hosts[httpx.URL(address.url).netloc.decode("ascii")].append(address)
    waiting = deque(hosts)  # servers that may be asked for more
    active: Counter[str] = Counter()
    running: dict[Future[None], str] = {}
    pool = ThreadPoolExecutor(how.parallel)
    try:
        with report.bar("downloading", len(addresses)) as advance:
            while running or waiting:
                while waiting and len(running) < how.parallel:
                    host = waiting.popleft()
                    future = pool.submit(keeper.fetch, fetcher, hosts[host].popleft())
                    running[future] = host
                    active[host] += 1
                    if hosts[host] and active[host] < how.per_host:
                        waiting.append(host)
                done, _ = wait(running, timeout=1, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
                    host = running.pop(future)
                    active[host] -= 1
                    if hosts[host] and host not in waiting:
                        waiting.append(host)
                advance(len(done))
    finally:
        fetcher.close()
        pool.shutdown(cancel_futures=True)


class _Keeper:
    """Keeps what was fetched, one picture at a time, and writes down what became of each."""

    def __init__(self, data: Path, journal: Journal) -> None:
        self._data, self._home = data, place_for_new(data)
        self._journal, self._lock = journal, threading.Lock()
        self.kept: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.duplicates = 0

    def fetch(self, fetcher: Fetcher, address: Address) -> None:
        """Fetch an address, and put its picture where it belongs."""
        try:
            content = fetcher.get(address.url)
            decode(content, ENOUGH)
        except BadPicture as error:
            self._give_up(address, str(error), GONE)
        except Failed as failed:
            if fetcher.closed:
                return  # the job ends; this address is for the next start
            later = failed.passing or failed.by_choice
            self._give_up(address, str(failed), FAILED if later else GONE)
        else:
            self._keep(address, content, extension(content))

    def _keep(self, address: Address, content: bytes, suffix: str) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        with self._lock:
            known = self._journal.content(sha256)
            if known:
                self.duplicates += 1
                path, reason = known["path"], f"the same picture as {known['source']}"
            else:
                self.kept[address.category] += 1
                name = f"{sha256[:NAME]}{suffix}"
                file = add(self._home / address.category / name, content)
                path, reason = file.relative_to(self._data).as_posix(), ""
            self._journal.add(
                job=JOB,
                source=address.url,
                category=address.category,
                status=DUPLICATE if known else KEPT,
                reason=reason,
                path=path,
                sha256=sha256,
                licence=address.licence,
            )

    def _give_up(self, address: Address, reason: str, status: str) -> None:
        with self._lock:
            self.failed[re.sub(r" \(.*\)$", "", reason, flags=re.DOTALL)] += 1
            self._journal.add(
                job=JOB,
                source=address.url,
                category=address.category,
                status=status,
                reason=reason,
                licence=address.licence,
            )
