"""The software of one host, as matching takes it, with what a banner is worth.

A banner says what a service calls itself. What a distribution has built often keeps its version while the faults are
mended: such a component is `possible` only, and everything else that a network scan finds `likely` at best.
"""

import re
from collections.abc import Iterator

import msgspec

from shared.matching import cpe
from shared.matching.certainty import Certainty
from shared.matching.component import Component
from shared.nmap.report import Host, Port, Service

CONFIDENT = 95
"""Per cent from which on a guess at the operating system counts."""

ALSO_KNOWN_AS = {
    "a:igor_sysoev:nginx": ("a:f5:nginx", "a:nginx:nginx"),
    "a:jay_sorg:xrdp": ("a:neutrinolabs:xrdp",),
    "a:matt_holt:caddy": ("a:caddyserver:caddy",),
    "a:minidlna:minidlna": ("a:minidlna_project:minidlna",),
    "a:mysql:mysql": ("a:oracle:mysql",),
    "a:redislabs:redis": ("a:redis:redis",),
    "a:sun:glassfish_server": ("a:oracle:glassfish_server",),
}
"""Products that nmap's probes and the NVD file under different vendors."""

_NAMED_BESIDE = {
    "openssl": "a:openssl:openssl",
    "php": "a:php:php",
    "python": "a:python:python",
}
"""What banners name beside the service itself, as in ``(PHP/5.3.10 OpenSSL/1.0.1)`` or ``(Python 3.11.7)``."""
_BESIDE = re.compile(r"\b(openssl|php|python)[ /](\d+(?:\.\d+)+[a-z]?\d*)", re.IGNORECASE)

# How distributions leave their mark in versions: 4ubuntu2.8, +deb12u1, .el9, .fc40, amzn2, r0 of Alpine.
_MARKS = (
    ("Ubuntu", r"ubuntu"),
    ("Debian", r"debian|raspbian|[+~.-]deb\d+u\d+|\bbpo\d+"),
    ("Red Hat", r"red ?hat|rhel|centos|almalinux|rocky ?linux|oracle ?linux|scientific ?linux|[._]el\d+"),
    ("Fedora", r"fedora|\.fc\d+"),
    ("SUSE", r"suse|\bsles?\b"),
    ("Amazon Linux", r"amazon linux|amzn\d*"),
    ("Alpine", r"alpine"),
    ("Gentoo", r"gentoo"),
    ("Mandriva", r"mandriva|mandrake|mageia"),
    ("FreeBSD", r"freebsd"),
    ("NetBSD", r"netbsd"),
)
_DISTRIBUTIONS = tuple((name, re.compile(pattern, re.IGNORECASE)) for name, pattern in _MARKS)
_APPLICATION = "cpe:2.3:a:"
_SPLIT = re.compile(r"(\d+(?:\.\d+)*)-?((?:p|rc|beta|alpha|sp)\d*)")
_VERSION = re.compile(r"v?\d[\w.+~-]*")


def components(host: Host) -> list[Component]:
    """What runs on a host: what answers at its open ports, what that names beside itself, and its operating system."""
    found: dict[Component, None] = {}
    for port in host.ports:
        if port.state == "open":
            found.update(dict.fromkeys(_at(host, port)))
    found.update(dict.fromkeys(_system(host)))
    platforms: dict[tuple[str, ...], Component] = {}
    for each in found:  # which several ports tell, and a guess again
        if each.cpes and not each.cpes[0].startswith(_APPLICATION):
            platforms.setdefault(each.cpes, each)
    return [each for each in found if platforms.get(each.cpes, each) is each]


def distribution(banner: str) -> str:
    """The distribution that a banner names; empty when it names none."""
    return next((name for name, pattern in _DISTRIBUTIONS if pattern.search(banner)), "")


def names(text: str) -> tuple[str, ...]:
    """A CPE name of nmap's (2.2 or 2.3) as the NVD writes it, and the products' other names; nothing if it is no name.

    The NVD writes ``7.2p2`` of OpenSSH as version ``7.2`` and update ``p2``.
    """
    try:
        name = cpe.parse(text)
    except cpe.CpeError:
        return ()
    found = _SPLIT.fullmatch(cpe.unquote(name.version))
    if found and name.update == cpe.ANY:
        name = msgspec.structs.replace(name, version=found[1], update=found[2])
    others = ALSO_KNOWN_AS.get(name.product_key, ())
    return (str(name), *(str(_renamed(name, product)) for product in others))


def _renamed(name: cpe.Name, product_key: str) -> cpe.Name:
    part, vendor, product = product_key.split(":")
    return msgspec.structs.replace(name, part=part, vendor=vendor, product=product)


def _at(host: Host, port: Port) -> Iterator[Component]:
    """What a port's service says: itself, what it runs on, what it is built with."""
    service = port.service
    place = {"host": host.address, "port": port.label}
    sure, because = _worth(service)
    read = [(text, names(text)) for text in service.cpes]
    own = [name for _, found in read for name in found if name.startswith(_APPLICATION)]
    if service.product or own:
        yield Component(
            name=service.product or cpe.unquote(cpe.parse(own[0]).product),
            version=_version(service.version),
            cpes=tuple(dict.fromkeys(own)),
            at_most=sure,
            because=because,
            **place,
        )
    for text, found in read:
        if found and not found[0].startswith(_APPLICATION):
            told = (
                because
                if sure is Certainty.POSSIBLE
                else f"the banner {_plain(service)!r} names a line of operating systems, not its version"
            )
            yield _platform(text, "", told, place)
    for product, version in _BESIDE.findall(service.extra):
        yield Component(
            name=product,
            version=version,
            cpes=(f"cpe:2.3:{_NAMED_BESIDE[product.lower()]}:{cpe.quote(version)}:*:*:*:*:*:*:*",),
            at_most=sure,
            because=because,
            **place,
        )


def _system(host: Host) -> Iterator[Component]:
    """The operating system, when nmap is sure of one product; its version is a range, and so not told."""
    best = max((each.accuracy for each in host.os_matches), default=0)
    if best < CONFIDENT:
        return
    likely = [each for each in host.os_matches if each.accuracy == best]
    texts = [text for each in likely for text in each.cpes if names(text)]
    if len({cpe.parse(names(text)[0]).product_key for text in texts}) != 1:
        return
    because = (
        f"the operating system is a guess from the host's network behaviour ({likely[0].name}, {best} %)"
    )
    yield _platform(texts[0], likely[0].name, because, {"host": host.address, "port": ""})


def _platform(text: str, name: str, because: str, place: dict[str, str]) -> Component:
    """An operating system or device without a version: a banner or a guess names a line of them, not one."""
    full = cpe.parse(names(text)[0])
    product = cpe.Name(full.part, full.vendor, full.product)
    return Component(
        name=name or cpe.unquote(full.product).replace("_", " "),
        cpes=(str(product),),
        at_most=Certainty.POSSIBLE,
        because=because,
        **place,
    )


def _worth(service: Service) -> tuple[Certainty, str]:
    """The most that may be concluded from a banner, and why."""
    packager = distribution(service.banner)
    if packager:
        why = (
            f"the banner {service.banner!r} names {packager}, which mends faults without changing the version"
        )
        return Certainty.POSSIBLE, why
    return Certainty.LIKELY, f"all that is known of it is the banner {_plain(service)!r}"


def _plain(service: Service) -> str:
    """What it says of itself without the remarks, which may hold the time of day."""
    return f"{service.product} {service.version}".strip() or service.name


def _version(text: str) -> str:
    """The version that the author gave it: ``7.2p2`` of ``7.2p2 Ubuntu 4ubuntu2.8``."""
    found = _VERSION.match(text)
    return found[0].rstrip(".-+~") if found else ""
