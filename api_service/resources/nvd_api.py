"""The mirror, answering as the NVD's API 2.0 does: other tools and other Vedettes can have it as their upstream."""

import array
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus
from typing import Any

from flask import Response, request

from api_service import auth
from api_service.blueprint import Blueprint
from api_service.context import parts, sessions
from api_service.errors import of_domain, problem
from api_service.pins import Pin
from api_service.schemas.nvd_api import CvePageSchema, CveQuery
from api_service.services import nvd_api
from api_service.services.nvd_api import Question
from shared import database, serving
from shared.errors import Invalid, NotFound, Unauthorized, Unavailable, VedetteError
from shared.models.user import Role

blueprint = Blueprint("mirror", "The mirror, served on as the NVD serves it.", url_prefix="")

_LEVEL = 1
"""Of gzip: 6 takes 2.4 times as long and saves a fifth."""
BUSY_SECONDS = 2


@blueprint.operation(
    "GET",
    "/rest/json/cves/2.0",
    role=Role.VIEWER,
    admit=auth.require_of_downstream,
    raises=(NotFound, Unavailable),
)
@blueprint.arguments(CveQuery, location="query")
@blueprint.response(200, CvePageSchema)
def list_cves(query: dict[str, Any]) -> Response:
    """List CVE records as the NVD's API 2.0 does.

    The records are as the NVD gave them, in the order of their ids; `timestamp` is the time until which the mirror is
    complete. A window of `lastModified` also has the records that reached this mirror in it though they are dated before
    it. What cannot be answered is refused as the NVD refuses it: 404, with the reason in the header `message`. The token may
    also come in the header `apiKey` or as the password of HTTP Basic; the setting VEDETTE_SERVE_NVD may open this to
    everybody, or close it. 503 as long as the mirror is not complete, and while too many ask at once.
    """
    start, size = query.pop("start"), query.pop("size")
    question = Question(**query)
    return bounded(lambda: _page(question, start, size))


@blueprint.errorhandler(VedetteError)
def refuse(error: VedetteError) -> Response:
    """Answer an error as the NVD's API does: a bad question and a bad key are 404, and the reason is in a header."""
    detail = error.detail
    if isinstance(error, Invalid):
        answer = problem(HTTPStatus.NOT_FOUND, detail, fields=error.errors)
    elif isinstance(error, Unauthorized) and "apiKey" in request.headers:
        detail = "Invalid apiKey."
        answer = problem(HTTPStatus.NOT_FOUND, detail)
    else:
        answer = of_domain(error)
    answer.headers["message"] = in_header(detail)
    return answer


def bounded(answer: Callable[[], Response]) -> Response:
    """An answer that may take long, given in one of the places that there are for such. Raises Unavailable without one."""
    places = parts().serving
    if not places.acquire(blocking=False):
        raise Unavailable("Too many ask this mirror at once.", BUSY_SECONDS)
    try:
        response = answer()
    except BaseException:
        places.release()
        raise
    response.call_on_close(places.release)
    return response


def _page(question: Question, start: int, size: int) -> Response:
    pin = _pin(question, start, size)
    ids = pin.ids[start : start + size]
    pieces = serving.document(sessions(), ids, len(pin.ids), start, pin.timestamp)
    packed = request.accept_encodings["gzip"] > 0
    turn = parts().serving_turn
    response = Response(
        _in_turn(_packed(pieces) if packed else pieces, turn), content_type="application/json"
    )
    if packed:
        response.headers["Content-Encoding"] = "gzip"
    response.vary.add("Accept-Encoding")
    return response


def _pin(question: Question, start: int, size: int) -> Pin:
    """The whole answer: what the client's first page was cut from, or as the mirror is now."""
    pins, key = parts().pins, (auth.sender(), question, size)
    if start > 0 and (found := pins.find(key)) is not None:
        return found
    with database.reading(sessions()) as session:
        standing = serving.standing(session)
        ids = array.array("q", nvd_api.find(session, question, standing))
    pin = Pin(ids, standing.watermark)
    if size < len(ids):
        pins.keep(key, pin)
    return pin


def _packed(pieces: Iterable[bytes]) -> Iterator[bytes]:
    gzip = zlib.compressobj(_LEVEL, wbits=31)
    for piece in pieces:
        yield gzip.compress(piece)
    yield gzip.flush()


def _in_turn(pieces: Iterator[bytes], turn: threading.Lock) -> Iterator[bytes]:
    """The pieces, each made while nobody else makes one; sending them takes as long as it takes."""
    while True:
        with turn:
            piece = next(pieces, None)
        if piece is None:
            return
        yield piece


def in_header(text: str) -> str:
    """A text as the value of a header: one line of ASCII, not too long."""
    return " ".join(text.encode("ascii", "replace").decode().split())[:200]
