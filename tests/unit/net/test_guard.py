from __future__ import annotations

import ipaddress
import socket

import aiohttp
import pytest
from aiohttp.abc import ResolveResult
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import NameRefused, RefusedAddress, StartupError
from rushes.net.guard import AddressGuard, GuardedResolver, is_public
from tests.fixtures.resolving import Answers

DISGUISES = [
    # loopback, in every spelling
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/",
    "http://127.1/",
    "http://127.0.1/",
    "http://127.255.255.254/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.1/",
    "http://0x7f.0x0.0x0.0x1/",
    "http://0177.0.0.1/",
    "http://017700000001/",
    "http://00000000177.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://127.0.0.1./",
    "http://127.0.0.1../",
    "http://１２７.０.０.１/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%00.example.com/",
    "http://127.0.0.1%2eexample.com/",
    "http:////127.0.0.1/",
    "http:/127.0.0.1/",
    "http:127.0.0.1/",
    "//127.0.0.1/",
    # IPv6, and IPv4 inside it
    "http://[::1]/",
    "http://[::]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[0:0:0:0:0:ffff:7f00:0001]/",
    "http://[::ffff:0:127.0.0.1]/",
    "http://[::127.0.0.1]/",
    "http://[::ffff:8.8.8.8]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b::169.254.169.254]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[2002:a00:1::1]/",
    "http://[2001:0:7f00:1::]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[fe80::1%eth0]/",
    "http://[2606:4700::1111%25eth0]/",
    "http://[fec0::1]/",
    "http://[fc00::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[100::1]/",
    "http://[2001:db8::1]/",
    "http://[2001:2::1]/",
    "http://[3fff::1]/",
    "http://[4000::1]/",
    "http://[v1.127.0.0.1]/",
    # private and special networks
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://172.31.255.255/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://100.100.100.200/",
    "http://169.254.169.254/latest/meta-data/",
    "http://168.63.129.16/",
    "http://192.0.0.192/",
    "http://192.0.2.1/",
    "http://198.18.0.1/",
    "http://198.51.100.1/",
    "http://203.0.113.1/",
    "http://224.0.0.1/",
    "http://240.0.0.1/",
    "http://255.255.255.255/",
    # not plain http(s) URLs
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://example.com/",
    "data:text/plain,x",
    "javascript:alert(1)",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "example.com/x",
    "",
    "http://",
    "http://?x",
    # hosts that hide another one
    "http://user@example.com/",
    "http://user:password@example.com/",
    "http://@example.com/",
    "http://127.0.0.1@example.com/",
    "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://example.com\t@127.0.0.1/",
    "http://exam ple.com/",
    "http://example.com\r\nHost: internal/",
    "http://example..com/",
    "http://-example.com/",
    "http://exa%6dple.com/",
    "http://" + "a" * 64 + ".com/",
    "http://" + "a." * 130 + "com/",
    "http://1.2.3.4.5/",
    "http://256.1.1.1/",
    "http://example.1/",
    "http://[::1/",
    # ports of other protocols
    "http://example.com:0/",
    "http://example.com:22/",
    "http://example.com:25/",
    "http://example.com:99999/",
    "http://example.com:-1/",
    "http://example.com:8o/",
    "http://example.com/" + "a" * 9000,
]

PLAIN = [
    "http://example.com/",
    "https://example.com/a.png?x=1#127.0.0.1",
    "https://example.com:8443/",
    "https://example.com./",
    "https://bücher.example/",
    "https://a_b.example.com/",
    "http://8.8.8.8/",
    "https://[2606:4700:4700::1111]/",
    "https://example.com/@127.0.0.1",
    "https://EXAMPLE.com/",
]


@pytest.mark.parametrize("url", DISGUISES)
def test_a_disguised_or_internal_url_is_refused(url: str) -> None:
    with pytest.raises(RefusedAddress):
        AddressGuard().check_url(url)


@pytest.mark.parametrize("url", PLAIN)
def test_a_plain_public_url_passes(url: str) -> None:
    AddressGuard().check_url(url)


@given(st.ip_addresses(v=4))
def test_whatever_python_calls_private_is_not_public(address: ipaddress.IPv4Address) -> None:
    if address.is_private or address.is_multicast or address.is_reserved or not address.is_global:
        assert not is_public(address) or address in ipaddress.ip_network("192.0.0.0/24")


@given(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address))
def test_no_ipv4_address_inside_an_ipv6_one_is_public(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for prefix in ("::", "::ffff:0:0", "64:ff9b::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) + number))
    assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))


def test_a_permitted_network_passes_and_its_neighbour_does_not() -> None:
    guard = AddressGuard(["10.1.0.0/16", "fd00::/8"])
    guard.check_url("http://10.1.2.3:9000/")
    guard.check_url("http://[fd00::1]/")
    with pytest.raises(RefusedAddress):
        guard.check_url("http://10.2.0.1/")


def test_a_permitted_network_does_not_permit_its_disguises() -> None:
    guard = AddressGuard(["127.0.0.0/8"])
    for url in ("http://[::ffff:127.0.0.1]/", "http://2130706433/", "http://127.1/"):
        with pytest.raises(RefusedAddress):
            guard.check_url(url)


def test_a_network_that_is_none_is_a_startup_error_naming_it() -> None:
    with pytest.raises(StartupError, match=r"10\.0\.0\.0/33"):
        AddressGuard(["10.0.0.0/33"])


class Nowhere(Answers):
    """A resolver that knows no name."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "64:ff9b::a00:1"]
)
async def test_a_name_that_resolves_inside_is_refused_without_showing_where(address: str) -> None:
    with pytest.raises(RefusedAddress) as caught:
        await GuardedResolver(AddressGuard(), Answers([address])).resolve("innocent.example", 80)
    assert "innocent.example" in caught.value.message
    assert address not in caught.value.message


async def test_a_name_that_resolves_partly_inside_is_refused() -> None:
    with pytest.raises(RefusedAddress):
        await GuardedResolver(AddressGuard(), Answers(["8.8.8.8", "10.0.0.1"])).resolve("innocent.example", 80)


async def test_a_name_that_leads_nowhere_is_refused_as_one_that_leads_inside() -> None:
    refusals = []
    for answers in (Answers(["10.0.0.1"]), Nowhere()):
        with pytest.raises(NameRefused) as caught:
            await GuardedResolver(AddressGuard(), answers).resolve("inner.example", 80)
        refusals.append((caught.value.message, caught.value.code))
    assert refusals[0] == refusals[1]


async def test_a_name_that_changes_its_mind_is_refused_at_the_second_connection() -> None:
    resolver = GuardedResolver(AddressGuard(), Answers(["8.8.8.8"], ["127.0.0.1"]))
    assert [found["host"] for found in await resolver.resolve("rebound.example", 80)] == ["8.8.8.8"]
    with pytest.raises(RefusedAddress):
        await resolver.resolve("rebound.example", 80)


async def test_a_literal_address_is_refused_by_the_connector_too() -> None:
    async with aiohttp.ClientSession(connector=AddressGuard().connector()) as session:
        with pytest.raises(RefusedAddress):
            await session.get("http://127.0.0.1:1/")
