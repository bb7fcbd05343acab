"""The command's side of the HTTP API."""

from collections.abc import Iterator
from typing import Any

import click
import requests

from shared.cli import local
from shared.settings import Settings

TIMEOUT = (5, 60)
"""Seconds to connect, and to wait for an answer."""


class Api:
    """Speaks to one Vedette; every refusal becomes a message that says what and where."""

    def __init__(self, url: str, token: str) -> None:
        self.base = url.rstrip("/") + "/api/v1"
        self.session = requests.Session()
        self.session.trust_env = False  # no proxy stands between a command and its own Vedette
        self.session.headers["Authorization"] = f"Bearer {token}"

    @classmethod
    def from_settings(cls, settings: Settings) -> "Api":
        """The API that the settings name, else the one that `vedette up` runs on this data directory.

        Raises click's ClickException when there is neither, or when the token cannot be one.
        """
        running = local.read(settings.data_dir)
        url = settings.api_url or (running.api_url if running else "")
        token = settings.token.get_secret_value() if settings.token else running.token if running else ""
        if not url or not token:
            raise click.ClickException(
                "no Vedette found: start one with `vedette up`, or set VEDETTE_API_URL and VEDETTE_TOKEN"
            )
        if not (token.isascii() and token.isprintable()):
            raise click.ClickException("VEDETTE_TOKEN holds characters that no token has")
        return cls(url, token)

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """One request. Raises click's ClickException when it is refused or the API is not there."""
        try:
            response = self.session.request(method, self.base + path, timeout=TIMEOUT, **options)
        except requests.RequestException as error:
            raise click.ClickException(f"{self.base} does not answer: {type(error).__name__}") from None
        if not response.ok:
            raise click.ClickException(_problem(response))
        return response

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a GET."""
        return self.call("GET", path, params=parameters).json()

    def post(self, path: str, document: Any = None) -> Any:
        """The JSON that a POST answers."""
        return self.call("POST", path, json={} if document is None else document).json()

    def pages(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Every item of a paged list."""
        page = 1
        while items := self.get(path, page=page, page_size=200, **parameters):
            yield from items
            if len(items) < 200:
                return
            page += 1


def _problem(response: requests.Response) -> str:
    """A problem document (RFC 9457) as one message."""
    try:
        problem = response.json()
    except ValueError:
        return f"{response.request.method} {response.url} answered {response.status_code}"
    lines = [f"{problem.get('title', response.reason)}: {problem.get('detail', '')}".rstrip(": ")]
    for where, why in (problem.get("errors") or {}).items():
        lines.append(f"  {where}: {'; '.join(why) if isinstance(why, list) else why}")
    return "\n".join(lines)
