"""Connections go to allowed addresses alone, wherever names and redirects lead."""

import ipaddress
import socket
from typing import Any

import httpx
import pytest

from retrain.gather.guarded import Deadline, Guarded, NotPublic, is_public
from servers import serving


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fd00::1"),
        *("::ffff:10.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "ff02::1"),
    ],
)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def only_the_first(address: Any) -> bool:
    """Take 127.0.0.1 for the internet, and 127.0.0.2 for a machine inside."""
    return str(address) == "127.0.0.1"


def test_a_redirect_from_outside_to_inside_is_refused() -> None:
    with serving() as outside, serving("127.0.0.2") as inside:
        outside.redirect("/", inside.file("/secret", b"x"))
        with httpx.Client(transport=Guarded(only_the_first, Deadline(), 4)) as client:
            assert client.get(outside.url).status_code == 302
            with pytest.raises(NotPublic, match="127\\.0\\.0\\.2"):
                client.get(outside.url, follow_redirects=True)
        assert not inside.asked


def test_a_name_that_means_another_machine_the_second_time_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What was checked is what is connected to: there is no second look at the name."""
    real, turns = socket.getaddrinfo, iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])

    def rebinding(host: str, *rest: Any, **named: Any) -> Any:
        return real(next(turns) if host == "rebind.example" else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    with serving() as outside, serving("127.0.0.2") as inside:
        outside.file("/", b"x", Connection="close")
        inside.file("/", b"secret")
        url = f"http://rebind.example:{outside.server_address[1]}/"
        with httpx.Client(transport=Guarded(only_the_first, Deadline(), 4)) as client:
            assert client.get(url).content == b"x"
            with pytest.raises(NotPublic):
                client.get(url)
        assert not inside.asked


def test_a_name_with_one_address_inside_is_refused_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = socket.getaddrinfo

    def both(host: str, *rest: Any, **named: Any) -> Any:
        return [*real("127.0.0.1", *rest, **named), *real("127.0.0.2", *rest, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with (
        httpx.Client(transport=Guarded(only_the_first, Deadline(), 4)) as client,
        pytest.raises(NotPublic),
    ):
        client.get("http://two.example/")
