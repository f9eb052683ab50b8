from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ftq_cli.exits import CommandError, Exit
from ftq_cli.listening import Place

IPV6 = Path("/proc/net/if_inet6")
LOCAL = {"127.0.0.1", "localhost"}


@pytest.mark.parametrize(
    ("host", "url", "names", "is_open"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", set(), False),
        ("0.0.0.0", "http://127.0.0.1:80", set(), True),  # noqa: S104  # what is asked for
        ("10.1.2.3", "http://10.1.2.3:80", {"10.1.2.3"}, True),
        ("::1", "http://[::1]:80", {"[::1]"}, False),
        ("::", "http://[::1]:80", {"[::1]"}, True),
        ("FD00:0::1", "http://[fd00::1]:80", {"[fd00::1]"}, True),
    ],
)
def test_an_address_is_found_called_and_known_to_be_open(
    host: str, url: str, names: set[str], is_open: bool
) -> None:
    place = Place(host, 0)
    assert (place.url(80), place.names, place.is_open) == (url, frozenset(LOCAL | names), is_open)


def test_nothing_is_open_and_no_name_is_allowed_unless_it_is_said() -> None:
    place = Place()
    assert not place.is_open
    assert place.names == LOCAL
    with place.bound() as listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_names_are_compared_in_small_letters() -> None:
    assert Place(allowed=("API", "ftq_1.Example.org")).names == LOCAL | {"api", "ftq_1.example.org"}


@pytest.mark.parametrize("name", ["", "api:80", "http://api", "*", "a b", ".a", "[::1]", "a" * 254])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(CommandError, match="--allowed-host") as refused:
        Place(allowed=(name,))
    assert refused.value.code is Exit.USAGE


@pytest.mark.parametrize("host", ["", "localhost", "10.0.0.256", "0.0.0.0:80"])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(CommandError, match=f"--host '{host}': no IP address"):
        Place(host)


def test_an_address_of_another_machine_is_named_with_its_port() -> None:
    # TEST-NET-1 of RFC 5737: nobody has it.
    with pytest.raises(CommandError, match=r"--port 0: cannot listen on 192\.0\.2\.1:0: Cannot"):
        Place("192.0.2.1").bound()


@pytest.mark.skipif(not IPV6.exists() or not IPV6.read_text(), reason="has no IPv6, or is no Linux")
def test_addresses_of_both_kinds_are_listened_on() -> None:
    with Place("::1").bound() as listening:
        assert listening.family is socket.AF_INET6
