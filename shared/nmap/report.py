"""nmap's XML report, read as a stream of tags: hosts are told as they end, so that an unfinished report is of use, too.

nmap writes the bare `<!DOCTYPE nmaprun>`; any other document type declaration, and so every entity, is refused. A report
may come from anybody and hold whatever a scanned machine chose to say: sizes are limited, texts are cleaned.
"""

import ipaddress
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Final
from xml.etree.ElementTree import ParseError  # The exception only: parsing is defusedxml's.

import msgspec
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import XMLParser

from shared.nmap.ports import Ports, PortsError, parse_numbers

MAX_HOSTS: Final = 65_536
MAX_PORTS: Final = 300_000
"""Ports listed in one report, all hosts together."""
MAX_CPES: Final = 50
MAX_TEXT: Final = 500
"""Characters of one text that are kept."""
_PIECE: Final = 1 << 16
_DEEPEST: Final = 64
_LONGEST_TOKEN: Final = 1 << 20
# Every name of a tag stays in the parser's memory; nmap's own document type has some 50.
_MOST_NAMES: Final = 1_000
_GZIP: Final = b"\x1f\x8b"
_RATIO, _RATIO_FROM = 100, 8_000_000
_PLAINER: Final = {
    "no element found": "it ends too early: nmap did not finish, or the file was cut off",
    "unclosed token": "it ends too early: nmap did not finish, or the file was cut off",
    "not well-formed (invalid token)": "there is a character that cannot stand here",
}


class ReportError(ValueError):
    """A report that cannot be read. `where` is a place in it, `why` a reason for its sender."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class ReportTooLarge(ReportError):
    """A report that is larger, packed or unpacked, than a limit allows."""


class Service(msgspec.Struct, frozen=True):
    """What answers at a port, by nmap's probes."""

    name: str = ""
    """The protocol: `ssh`, `http`."""
    product: str = ""
    version: str = ""
    extra: str = ""
    cpes: tuple[str, ...] = ()

    @property
    def banner(self) -> str:
        """What it says of itself, in one line."""
        return " ".join(filter(None, (self.product, self.version, self.extra and f"({self.extra})")))


class Port(msgspec.Struct, frozen=True):
    """One port of a host that the report lists."""

    protocol: str
    number: int
    state: str
    service: Service = Service()

    @property
    def label(self) -> str:
        """``22/tcp``."""
        return f"{self.number}/{self.protocol}"


class OsMatch(msgspec.Struct, frozen=True):
    """A guess at the operating system."""

    name: str
    accuracy: int
    cpes: tuple[str, ...] = ()


class Host(msgspec.Struct, frozen=True):
    """One host as the report tells it."""

    address: str
    """In its normal form."""
    names: tuple[str, ...] = ()
    up: bool = False
    timed_out: bool = False
    """nmap gave up on it: nothing that is missing from it means anything."""
    ports: tuple[Port, ...] = ()
    unlisted_closed: bool = False
    """Whether every port that was looked at and is not listed is closed."""
    unlisted: dict[str, Ports] = {}
    """By protocol: ports that are not listed and of which the report says that they are closed."""
    os_matches: tuple[OsMatch, ...] = ()
    os_looked_at: bool = False

    @property
    def observed(self) -> bool:
        """Whether it answered, and was looked at to the end."""
        return self.up and not self.timed_out

    def is_closed(self, protocol: str, number: int) -> bool:
        """Whether the report says that a port which was looked at is closed; one that did not answer is not."""
        for port in self.ports:
            if (port.protocol, port.number) == (protocol, number):
                return port.state == "closed"
        return self.unlisted_closed or number in self.unlisted.get(protocol, Ports())


class Report(msgspec.Struct):
    """What a report says."""

    version: str = ""
    """Of nmap."""
    hosts: list[Host] = []
    scanned: dict[str, Ports] = {}
    """The ports that were looked at, by protocol."""
    finished: bool = False
    """Whether nmap came to its end."""


def read(source: BinaryIO, limit: int) -> Report:
    """A whole report of at most `limit` bytes, plain or packed with gzip. Raises ReportError."""
    reader = Reader()
    for piece in _pieces(source, limit):
        reader.feed(piece)
    return reader.close()


class Reader:
    """Takes a report piece by piece; `on_host` is told each host as it ends."""

    def __init__(self, on_host: Callable[[Host], None] = lambda _host: None) -> None:
        self.report = Report()
        self._parser = XMLParser(target=object(), forbid_entities=True, forbid_external=True)
        self._events = _Events(self._parser.parser, self.report, on_host)
        self._fed = 0

    def feed(self, piece: bytes) -> None:
        """Take what comes next. Raises ReportError."""
        self._fed += len(piece)
        with _Translated(self._parser.parser):
            self._parser.feed(piece)
        if self._fed - self._parser.parser.CurrentByteIndex > _LONGEST_TOKEN:
            raise ReportError(_line(self._parser.parser), "a single tag or comment is longer than 1 MB")

    def close(self) -> Report:
        """The whole report. Raises ReportError when it is not whole."""
        with _Translated(self._parser.parser):
            self._parser.close()
        if not self.report.finished:
            raise ReportError("the end of the report", "it has no <finished>: nmap did not come to its end")
        return self.report


class _Translated:
    """Turns what the XML parser raises into a place and a reason."""

    def __init__(self, parser: Any) -> None:
        self._parser = parser

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, DefusedXmlException):
            raise ReportError(_line(self._parser), "it declares an entity, which is refused") from None
        if isinstance(error, ParseError):
            line, column = error.position
            reason = str(error).partition(":")[0]
            where = f"line {line}, column {column + 1}"
            raise ReportError(where, f"the XML is malformed: {_PLAINER.get(reason, reason)}") from None
        if isinstance(error, (LookupError, ValueError)) and not isinstance(error, ReportError):
            raise ReportError(_line(self._parser), f"the XML cannot be read: {error}") from None


def _line(parser: Any) -> str:
    return f"line {parser.CurrentLineNumber}"


class _Events:
    """Receives the parser's events; what it gathers of a host becomes a Host at the host's end."""

    def __init__(self, parser: Any, report: Report, on_host: Callable[[Host], None]) -> None:
        self._parser = parser
        self._report = report
        self._on_host = on_host
        self._path: list[str] = []
        self._names: set[str] = set()
        self._ports = 0
        self._host: dict[str, Any] | None = None
        self._port: dict[str, Any] = {}
        self._os: dict[str, Any] = {}
        self._extra: list[dict[str, Any]] = []
        self._text: list[str] | None = None
        self._starts = {
            ("nmaprun", "scaninfo"): self._scaninfo,
            ("nmaprun", "host"): self._host_begins,
            ("host", "status"): self._status,
            ("host", "address"): self._address,
            ("hostnames", "hostname"): self._hostname,
            ("ports", "extraports"): self._extraports,
            ("extraports", "extrareasons"): self._extrareasons,
            ("ports", "port"): self._port_begins,
            ("port", "state"): self._state,
            ("port", "service"): self._service,
            ("host", "os"): self._os_begins,
            ("os", "osmatch"): self._osmatch,
            ("service", "cpe"): self._cpe_begins,
            ("osclass", "cpe"): self._cpe_begins,
            ("runstats", "finished"): self._finished,
        }
        self._ends = {
            "host": self._host_ends,
            "port": self._port_ends,
            "osmatch": self._osmatch_ends,
            "cpe": self._cpe_ends,
        }
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.StartDoctypeDeclHandler = self._doctype
        parser.DefaultHandlerExpand = None
        parser.ordered_attributes = False

    def _refuse(self, why: str) -> ReportError:
        return ReportError(_line(self._parser), why)

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset or system or public:
            raise self._refuse("it has a document type declaration other than nmap's own, which is refused")
        if name != "nmaprun":
            raise self._refuse(f"it is XML, but not nmap's: its document type is {name[:100]}")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag != "nmaprun":
            local = tag.rpartition("}")[2]
            raise self._refuse(f"it is XML, but not nmap's: its outermost element is <{local[:100]}>")
        self._names.add(tag)
        if len(self._names) > _MOST_NAMES or len(self._path) >= _DEEPEST:
            raise self._refuse("it has too many kinds of elements, or nests them too deep, for one of nmap's")
        parent = self._path[-1] if self._path else ""
        if not parent:
            self._report.version = _clean(attributes.get("version"))
        self._path.append(tag)
        begin = self._starts.get((parent, tag))
        if begin is not None and (self._host is not None or parent in ("nmaprun", "runstats")):
            begin(attributes)

    def _end(self, tag: str) -> None:
        self._path.pop()
        end = self._ends.get(tag)
        if end is not None and self._host is not None:
            end()

    def _data(self, text: str) -> None:
        if self._text is not None and len(self._text) < MAX_TEXT:
            self._text.append(text[:MAX_TEXT])

    def _scaninfo(self, attributes: dict[str, str]) -> None:
        protocol = _clean(attributes.get("protocol"))
        ports = self._numbers(attributes.get("services"))
        if protocol in self._report.scanned:
            ports |= self._report.scanned[protocol]
        if len(self._report.scanned) < MAX_CPES:
            self._report.scanned[protocol] = ports

    def _finished(self, attributes: dict[str, str]) -> None:
        self._report.finished = attributes.get("exit", "success") == "success"

    def _host_begins(self, attributes: dict[str, str]) -> None:
        self._host = {
            "names": [],
            "ports": [],
            "os_matches": [],
            "timed_out": attributes.get("timedout") == "true",
        }
        self._extra = []

    def _status(self, attributes: dict[str, str]) -> None:
        self._gathered["up"] = attributes.get("state") == "up"

    def _address(self, attributes: dict[str, str]) -> None:
        if attributes.get("addrtype") in ("ipv4", "ipv6"):
            try:
                address = ipaddress.ip_address(attributes.get("addr", ""))
            except ValueError:
                raise self._refuse(f"{attributes.get('addr', '')[:100]!r} is no address") from None
            self._gathered.setdefault("address", str(address))

    def _hostname(self, attributes: dict[str, str]) -> None:
        name, names = _clean(attributes.get("name")), self._gathered["names"]
        if name and name not in names and len(names) < MAX_CPES:
            names.append(name)

    def _extraports(self, attributes: dict[str, str]) -> None:
        if len(self._extra) < MAX_CPES:
            self._extra.append({"closed": attributes.get("state") == "closed", "ports": {}})

    def _extrareasons(self, attributes: dict[str, str]) -> None:
        if self._extra and (protocol := _clean(attributes.get("proto"))):
            told = self._extra[-1]["ports"]
            told[protocol] = told.get(protocol, Ports()) | self._numbers(attributes.get("ports"))

    def _port_begins(self, attributes: dict[str, str]) -> None:
        self._ports += 1
        if self._ports > MAX_PORTS:
            raise self._refuse(f"it lists more than {MAX_PORTS:,} ports")
        number = attributes.get("portid", "")
        if not (number.isascii() and number.isdigit() and len(number) <= 5):
            raise self._refuse(f"{number[:40]!r} is no port")
        self._port = {"number": int(number), "protocol": _clean(attributes.get("protocol"))[:8], "state": ""}
        self._port["cpes"] = []

    def _state(self, attributes: dict[str, str]) -> None:
        self._port["state"] = _clean(attributes.get("state"))

    def _service(self, attributes: dict[str, str]) -> None:
        # A service that nmap only looked up by its port's number was not asked: nothing is known of it.
        named = {"name": "name", "product": "product", "version": "version", "extra": "extrainfo"}
        self._port["service"] = {field: _clean(attributes.get(key)) for field, key in named.items()}

    def _port_ends(self) -> None:
        port = self._port
        service = Service(**port.get("service", {}), cpes=tuple(port["cpes"]))
        self._gathered["ports"].append(Port(port["protocol"], port["number"], port["state"], service))
        self._port = {}

    def _os_begins(self, _attributes: dict[str, str]) -> None:
        self._gathered["os_looked_at"] = True

    def _osmatch(self, attributes: dict[str, str]) -> None:
        accuracy = attributes.get("accuracy", "")
        sure = int(accuracy) if accuracy.isascii() and accuracy.isdigit() and len(accuracy) <= 3 else 0
        self._os = {"name": _clean(attributes.get("name")), "accuracy": sure, "cpes": []}

    def _osmatch_ends(self) -> None:
        if self._os and len(self._gathered["os_matches"]) < MAX_CPES:
            self._gathered["os_matches"].append(
                OsMatch(self._os["name"], self._os["accuracy"], tuple(self._os["cpes"]))
            )
        self._os = {}

    def _cpe_begins(self, _attributes: dict[str, str]) -> None:
        self._text = []

    def _cpe_ends(self) -> None:
        held = self._port or self._os
        text = _clean("".join(self._text or ()))
        self._text = None
        if held and text and len(held["cpes"]) < MAX_CPES:
            held["cpes"].append(text)

    def _host_ends(self) -> None:
        gathered, self._host = self._gathered, None
        if "address" not in gathered:  # a report by MAC addresses only: nothing that could be found again
            return
        if len(self._report.hosts) >= MAX_HOSTS:
            raise self._refuse(f"it has more than {MAX_HOSTS:,} hosts")
        closed = [each["closed"] for each in self._extra]
        told = [each["ports"] for each in self._extra if each["closed"]]
        unlisted: dict[str, Ports] = {}
        for ports in told:
            for protocol, numbers in ports.items():
                unlisted[protocol] = unlisted.get(protocol, Ports()) | numbers
        gathered |= {"unlisted_closed": bool(closed) and all(closed), "unlisted": unlisted}
        for key in ("names", "ports", "os_matches"):
            gathered[key] = tuple(gathered[key])
        host = Host(**gathered)
        self._report.hosts.append(host)
        self._on_host(host)

    def _numbers(self, text: str | None) -> Ports:
        try:
            return parse_numbers(text) if text else Ports()
        except PortsError as error:
            raise self._refuse(str(error)) from None

    @property
    def _gathered(self) -> dict[str, Any]:
        assert self._host is not None  # noqa: S101  # handlers are called within a host
        return self._host


def _clean(text: str | None) -> str:
    """A text as it may be stored and shown: short, on one line, printable."""
    if not text:
        return ""
    text = " ".join(text[: 4 * MAX_TEXT].split())[:MAX_TEXT]
    return text if text.isprintable() else "".join(each if each.isprintable() else "\ufffd" for each in text)


def _pieces(source: BinaryIO, limit: int) -> Iterator[bytes]:
    """The report unpacked, in pieces. Raises ReportTooLarge, and ReportError for gzip that cannot be unpacked."""
    first = source.read(_PIECE)
    packed = first.startswith(_GZIP)
    unpacking = zlib.decompressobj(wbits=31) if packed else None
    arrived = given = 0
    piece = first
    while piece:
        arrived += len(piece)
        if arrived > limit:
            raise ReportTooLarge("the report", f"it is larger than {limit:,} bytes")
        for part in _unpacked(unpacking, piece) if unpacking else (piece,):
            given += len(part)
            if given > limit:
                raise ReportTooLarge("the report", f"it unpacks to more than {limit:,} bytes")
            if packed and given > _RATIO_FROM and given > _RATIO * arrived:
                raise ReportTooLarge("the report", f"it unpacks to more than {_RATIO} times its size")
            yield part
        piece = source.read(_PIECE)
    if unpacking is not None and not unpacking.eof:
        raise ReportError("the end of the report", "the gzip stream ends too early")


def _unpacked(unpacking: "zlib._Decompress", piece: bytes) -> Iterator[bytes]:
    while piece:
        if unpacking.eof:
            raise ReportError("the report", "something follows the gzip stream")
        try:
            yield unpacking.decompress(piece, _PIECE)
        except zlib.error as error:
            raise ReportError("the report", f"it cannot be unpacked: {error}") from None
        piece = unpacking.unconsumed_tail or unpacking.unused_data
