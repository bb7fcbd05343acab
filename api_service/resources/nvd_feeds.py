"""The mirror, answering as the NVD's feeds do."""

from flask import Response, request
from sqlalchemy.exc import OperationalError

from api_service import auth
from api_service.blueprint import Blueprint
from api_service.context import sessions, settings
from api_service.errors import of_domain
from api_service.resources.nvd_api import bounded, in_header
from api_service.services import nvd_feeds
from shared import database, served_feeds
from shared.errors import NotFound, Unauthorized, Unavailable, VedetteError
from shared.models.served import ServedFeed
from shared.models.user import Role

blueprint = Blueprint(
    "mirror feeds", "The mirror, served on as the NVD's feeds.", url_prefix="/feeds/json/cve/2.0"
)

BUILDING_SECONDS = 3
"""After which to ask again for a feed that is being built; a year takes a few."""


@blueprint.operation(
    "GET",
    "/nvdcve-2.0-<feed>.meta",
    role=Role.VIEWER,
    admit=auth.require_of_downstream,
    raises=(NotFound, Unavailable),
)
@blueprint.response(
    200,
    {"type": "string"},
    content_type="text/plain",
    example="lastModifiedDate:2026-03-15T12:00:00+00:00\r\nsize:25111369\r\nzipSize:0\r\ngzSize:2096982\r\n"
    "sha256:255ABA3D1E5F5A7820074BAA9FB15525D9BDAEFF6A869266CAEA93A73A300E16\r\n",
)
def get_feed_meta(feed: str) -> Response:
    """Describe a feed as the NVD does.

    `feed` is a year from 2002 on, `modified` (the last eight days, and what reached this mirror in them) or `recent`
    (published in the last eight days). `lastModifiedDate` is the time until which it is complete; size and digest are of the
    uncompressed JSON. 503 while it is being built for the first time. The token may also come as the password of HTTP Basic.
    """
    edition = _edition(feed)
    response = Response(served_feeds.meta(edition), content_type="text/plain; charset=utf-8")
    return _conditional(response, edition, "meta")


@blueprint.operation(
    "GET",
    "/nvdcve-2.0-<feed>.json.gz",
    role=Role.VIEWER,
    admit=auth.require_of_downstream,
    raises=(NotFound, Unavailable),
)
@blueprint.response(
    200,
    {"type": "string", "format": "binary"},
    content_type="application/gzip",
    example="",
)
def get_feed(feed: str) -> Response:
    """Give a feed as the NVD does.

    The file that its `.meta` describes; if it was built anew in between, the digest tells, and both are asked for again.
    """
    edition = _edition(feed)

    def send() -> Response:
        response = Response(served_feeds.file(sessions(), edition), content_type="application/gzip")
        response.content_length = edition.gz_size
        return _conditional(response, edition, "json.gz")

    return bounded(send)


@blueprint.errorhandler(VedetteError)
def refuse(error: VedetteError) -> Response:
    """Answer an error; programs that only know HTTP Basic are asked for it."""
    answer = of_domain(error)
    if isinstance(error, Unauthorized):
        answer.headers.add("WWW-Authenticate", 'Basic realm="vedette"')
    answer.headers["message"] = in_header(error.detail)
    return answer


def _edition(name: str) -> ServedFeed:
    """The edition to serve; a new one is asked for if need be. Raises Unavailable while there is none."""
    kind = served_feeds.kind_of(name)
    with database.reading(sessions()) as session:
        look = nvd_feeds.look(session, name)
        asked = not look.due or served_feeds.is_asked_for(session, kind)
    if not asked:
        try:
            with database.transaction(sessions()) as session:
                served_feeds.ask_for(session, kind)
        except OperationalError:
            if look.feed is None:
                raise
    if look.feed is None:
        raise Unavailable(f"The feed {name} is being built.", BUILDING_SECONDS)
    return look.feed


def _conditional(response: Response, edition: ServedFeed, suffix: str) -> Response:
    """The response, or 304 for who has it already."""
    response.set_etag(f"{edition.sha256.lower()[:32]}-{edition.edition}-{suffix}")
    response.last_modified = edition.built_at
    share = "public" if settings().serve_nvd == "open" else "private"
    response.headers["Cache-Control"] = f"{share}, no-cache"
    response.make_conditional(request)
    return response
