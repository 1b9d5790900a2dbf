"""Addresses become pictures: whatever servers do, each is kept or named with its reason, once."""

import csv
import json
import re
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from commands import PATIENCE, command, environment, refused, retrain
from disks import disk
from pictures import draw, encoded
from servers import PictureServer, serving

QUICK = ("--allow-private", "--seconds", "2", "--attempts", "1", "--most-mib", "2")


def jpeg(seed: int) -> bytes:
    return encoded(draw("disc", seed), "JPEG")


def rows(root: Path) -> list[dict[str, str]]:
    with (root / "sources.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def pictures(root: Path) -> list[Path]:
    return sorted(path for path in (root / "data").rglob("*") if path.is_file())


@dataclass(frozen=True)
class Done:
    """A list of good and bad addresses, and two starts of its download."""

    server: PictureServer
    root: Path
    first: Any
    second: Any
    asked: dict[str, int]  # before the second start

    def reason(self, path: str) -> str:
        """Return what became of an address at the first start."""
        found = [row for row in rows(self.root) if row["source"] == f"{self.server.url}{path}"]
        return f"{found[0]['status']}: {found[0]['reason']}"


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("download é")
    with serving() as server:
        good = [server.file(f"/{i}", jpeg(i)) for i in range(12)]
        server.file(
            "/robots.txt", b"User-agent: *\nDisallow: /secret/\n", Content_Type="text/plain"
        )
        server.file("/secret/1.jpg", jpeg(90))
        bad = [
            *(f"{server.url}/missing", f"{server.url}/secret/1.jpg"),
            server.redirect("/round", "/round"),
            server.redirect("/to-file", "file:///etc/passwd"),
            server.file("/page", b"  <!DOCTYPE html><p>Not found</p>"),
            server.stalls("/stalls"),
            server.drips("/drips"),
            server.pours("/pours", jpeg(91)),
            server.breaks_off("/half", jpeg(92)),
            server.gzip_bomb("/bomb", b"BM", 30 << 20),
            server.file("/no-gzip", jpeg(93), Content_Encoding="gzip"),
            server.file("/cut", jpeg(94)[:-200]),
            server.file("/empty", b""),
            server.status("/busy", 503),
            server.does("/declared", lambda handler: handler.reply(200, bytes(3 << 20))),
            "http://127.0.0.1:9/closed",
            "ftp://127.0.0.1/x.jpg",
        ]
        also = [
            server.redirect("/moved", "/0"),
            server.redirect("/elsewhere", server.file("/new%20place", jpeg(95))),
        ]
        lines = ["# pictures of discs", "", *good, "   ", *bad, *also, good[0]]
        (folder / "list.txt").write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
        root = folder / "tf files"
        line = ("download", root, folder / "list.txt", "--category", "disc", *QUICK, "--json")
        first = retrain(*line)
        asked = dict(server.asked)
        yield Done(server, root, first, retrain(*line), asked)


def test_good_addresses_become_pictures_named_by_content(done: Done) -> None:
    found = json.loads(done.first.stdout)
    assert found["kept"] == {"disc": 13}
    assert (found["duplicates"], found["before"]) == (1, 0)
    kept = [row for row in rows(done.root) if row["status"] == "kept"]
    assert len(kept) == len(pictures(done.root)) == 13
    for row in kept:
        assert row["path"] == f"disc/{row['sha256'][:16]}.jpg"
        assert (done.root / "data" / row["path"]).is_file()
    assert (done.root / "data" / kept[0]["path"]).read_bytes() in [jpeg(i) for i in range(12)]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/missing", "gone: the server answers 404 Not Found"),
        ("/secret/1.jpg", "failed: robots.txt of its server asks programs not to fetch it"),
        ("/round", "gone: redirected more than 5 times"),
        ("/to-file", "gone: redirected to what is no http address"),
        ("/page", "gone: a web page, not a picture"),
        ("/stalls", "failed: no answer in time"),
        ("/drips", "failed: no answer in time"),
        ("/pours", "failed: larger than 2 MiB"),
        ("/declared", "failed: larger than 2 MiB"),
        ("/half", "failed: the server broke off"),
        ("/bomb", "failed: larger than 2 MiB"),
        ("/no-gzip", "gone: said to be gzip, but is not"),
        ("/empty", "gone: an empty answer"),
        ("/busy", "failed: the server answers 503 Service Unavailable"),
        ("/moved", "duplicate: the same picture as"),
    ],
)
def test_each_other_address_has_its_reason(path: str, told: str, done: Done) -> None:
    assert done.reason(path).startswith(told)


def test_a_cut_picture_is_no_picture(done: Done) -> None:
    assert done.reason("/cut").startswith("gone: image file is truncated")


def test_what_failed_is_counted_by_reason_and_the_exit_code_says_so(done: Done) -> None:
    assert done.first.returncode == 6
    found = json.loads(done.first.stdout)["failed"]
    assert found["no answer in time"] == 2
    assert found["larger than 2 MiB"] == 3
    assert found["no http address"] == 1
    assert sum(found.values()) == 17
    assert "No http address, left out: 'ftp://127.0.0.1/x.jpg'" in done.first.stderr


def test_another_start_asks_only_for_what_may_come_yet(done: Done) -> None:
    again = {path for path, count in done.server.asked.items() if count > done.asked.get(path, 0)}
    assert again == {
        *("/robots.txt", "/stalls", "/drips", "/pours", "/declared", "/half", "/bomb", "/busy")
    }
    found = json.loads(done.second.stdout)
    assert (found["kept"], found["before"], found["given_up"]) == ({}, 14, 7)
    assert "/secret/1.jpg" not in done.server.asked


def test_nothing_half_written_is_left(done: Done) -> None:
    left = {path.name for path in done.root.rglob(".*")}
    assert left == {".sources.csv.lock"}


def test_cookies_and_passwords_are_not_sent_on(tmp_path: Path) -> None:
    with serving() as server:
        server.answers["/first"] = lambda handler: handler.reply(
            302, b"", Location="/second", Set_Cookie="a=b"
        )
        server.file("/second", jpeg(1))
        address = server.url.replace("http://", "http://me:secret@")
        (tmp_path / "list").write_text(f"{address}/first")
        result = retrain("download", tmp_path, tmp_path / "list", "--category", "disc", *QUICK)
        assert result.returncode == 0, result.stderr
        for sent in server.headers_of.values():
            assert not {"Cookie", "Authorization", "Referer"} & sent.keys()
            assert sent["User-Agent"].startswith("retrain/")
    assert "secret" not in (tmp_path / "sources.csv").read_text()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_addresses_that_lead_inside_are_refused(host: str, tmp_path: Path) -> None:
    with serving() as server:
        server.file("/1", jpeg(1))
        port = server.server_address[1]
        (tmp_path / "list").write_text(f"http://{host}:{port}/1")
        result = retrain("download", tmp_path, tmp_path / "list", "--category", "disc")
        assert "1 address gave no picture" in refused(result, 6)
        assert not server.asked
    if host == "localhost":
        said = r"localhost is at the private address (127\.0\.0\.1|::1)"
    else:
        said = f"{re.escape(host.strip('[]'))} is a private address"
    (row,) = rows(tmp_path)
    assert re.fullmatch(f"{said}; --allow-private fetches from it", row["reason"])


def test_with_the_permission_the_same_command_goes_on(tmp_path: Path) -> None:
    with serving() as server:
        (tmp_path / "list").write_text(server.file("/1", jpeg(1)))
        line = ("download", tmp_path, tmp_path / "list", "--category", "disc")
        retrain(*line)
        assert retrain(*line, "--allow-private").returncode == 0
    assert [row["status"] for row in rows(tmp_path)] == ["failed", "kept"]


def test_a_busy_server_is_asked_again_and_robots_can_be_ignored(tmp_path: Path) -> None:
    with serving() as server:
        answers = iter([(503, b""), (200, jpeg(1))])
        url = server.does("/1", lambda handler: handler.reply(*next(answers)))
        server.file("/robots.txt", b"User-agent: retrain\nDisallow: /\n")
        (tmp_path / "list").write_text(url)
        line = ("download", tmp_path, tmp_path / "list", "--category", "disc", "--allow-private")
        result = retrain(*line, "--ignore-robots")
        assert result.returncode == 0, result.stderr
        assert dict(server.asked) == {"/1": 2}
    assert "robots.txt is ignored" in result.stderr


def test_a_kill_in_the_middle_costs_nothing_twice(tmp_path: Path) -> None:
    with serving() as server:
        urls = []
        for i in range(120):
            content = jpeg(i)

            def slowly(handler: Any, content: bytes = content) -> None:
                time.sleep(0.02)
                handler.reply(200, content)

            urls.append(server.does(f"/{i}", slowly))
        (tmp_path / "list").write_text("\n".join(urls))
        root = tmp_path / "tf_files"
        line = ("download", root, tmp_path / "list", "--category", "disc", "--allow-private")
        with subprocess.Popen(command(*line), env=environment(), stderr=-3, stdout=-3) as process:
            deadline = time.monotonic() + PATIENCE
            while not (root / "sources.csv").exists() or len(rows(root)) < 40:
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.kill()
        settled = [row["source"].removeprefix(server.url) for row in rows(root)]
        assert 40 <= len(settled) < 120
        result = retrain(*line)
        assert result.returncode == 0, result.stderr
        assert {server.asked[path] for path in settled} == {1}
        assert sum(server.asked[f"/{i}"] for i in range(120)) <= 120 + 6  # were on their way
    assert len(pictures(root)) == len({row["path"] for row in rows(root)}) == 120
    assert not list(root.glob("data/disc/.*"))


def test_an_interrupted_download_ends_soon_and_gives_nothing_up(tmp_path: Path) -> None:
    with serving() as server:
        urls = [server.file("/1", jpeg(1)), *(server.stalls(f"/{i}") for i in range(2, 5))]
        (tmp_path / "list").write_text("\n".join(urls))
        line = ("download", tmp_path, tmp_path / "list", "--category", "disc", "--allow-private")
        with subprocess.Popen(command(*line), env=environment(), stderr=-1, text=True) as process:
            deadline = time.monotonic() + PATIENCE
            while not server.asked["/4"] or not (tmp_path / "sources.csv").exists():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            process.send_signal(signal.SIGINT)
            _, said = process.communicate()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert said.endswith("retrain: Interrupted. What was finished is kept.\n")
    assert [row["status"] for row in rows(tmp_path)] == ["kept"]


def test_a_table_and_a_folder_of_lists_tell_categories_and_licences(tmp_path: Path) -> None:
    with serving() as server:
        urls = [server.file(f"/{i}", jpeg(i)) for i in range(4)]
        table = f"Licence;URL;Category\nCC0;{urls[0]};disc\n;{urls[1]};ring\n"
        (tmp_path / "table.csv").write_text(table, encoding="utf-16")
        lists = tmp_path / "lists"
        lists.mkdir()
        (lists / "stripes.txt").write_text(f"{urls[2]}\n")
        (lists / "urls_squares.csv").write_text(f'"{urls[3]}"\n')
        for source in ("table.csv", "lists"):
            result = retrain("download", tmp_path / "tf", tmp_path / source, "--allow-private")
            assert result.returncode == 0, result.stderr
    found = {row["source"].removeprefix(server.url): row for row in rows(tmp_path / "tf")}
    assert [found[f"/{i}"]["category"] for i in range(4)] == ["disc", "ring", "stripes", "squares"]
    assert [found[f"/{i}"]["licence"] for i in range(2)] == ["CC0", ""]


def test_without_a_category_and_without_addresses_the_command_says_what_is_missing(
    tmp_path: Path,
) -> None:
    (tmp_path / "list").write_text("http://example.org/1.jpg\n")
    message = refused(retrain("download", tmp_path / "tf", tmp_path / "list"), 2)
    assert message.endswith("See --category.")
    (tmp_path / "list").write_text("\n# nothing\n")
    assert "http://" in refused(retrain("download", tmp_path / "tf", tmp_path / "list"), 3)
    assert "no such file" in refused(retrain("download", tmp_path / "tf", tmp_path / "none"), 3)
    (tmp_path / "list").write_text("http://example.org/1.jpg\n")
    line = ("download", tmp_path / "tf", tmp_path / "list", "--category", "a/b")
    assert "'a_b' would do" in refused(retrain(*line), 2)


def test_a_labels_csv_that_would_leave_pictures_out_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "labels.csv").write_text("path,label\n")
    (tmp_path / "list").write_text("http://example.org/1.jpg\n")
    message = refused(retrain("download", tmp_path, tmp_path / "list", "--category", "x"), 3)
    assert "labels.csv" in message


def test_a_full_disk_leaves_whole_pictures_and_whole_rows(tmp_path: Path) -> None:
    with disk(tmp_path / "disk", "size=100k") as root, serving() as server:
        noise = [encoded(draw("noise", i, (60, 60)), "PNG") for i in range(20)]
        urls = [server.file(f"/{i}", content) for i, content in enumerate(noise)]
        (tmp_path / "list").write_text("\n".join(urls))
        line = ("download", root, tmp_path / "list", "--category", "x", "--allow-private")
        assert "The disk is full" in refused(retrain(*line), 8)
        found = pictures(root)
        assert found
        assert {path.read_bytes() for path in found} <= set(noise)
        assert {row["status"] for row in rows(root)} <= {"kept"}
