"""Every setting, read from the environment once at an entry point and passed on."""

import datetime as dt
import email.utils
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.destinations import Destinations, mail_address
from shared.errors import Invalid
from shared.targets import Limits, parse_allowance

NVD_API = "https://services.nvd.nist.gov/rest/json/cves/2.0"
NVD_FEEDS = "https://nvd.nist.gov/feeds/json/cve/2.0"
KEV = "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
EPSS = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
OFF = "off"
"""As the address of a source: it is not to be asked."""

RETRIES = "5,60,300,1800,7200,18000,36000"

_SCHEMES = {
    "database_url": ("postgresql://", "postgresql+psycopg://", "postgres://", "sqlite:"),
    "redis_url": ("redis://", "rediss://", "unix://"),
    "api_url": ("http://", "https://"),
    "kev_url": ("http://", "https://", OFF),
    "epss_url": ("http://", "https://", OFF),
}


class Settings(BaseSettings):
    """What can be set, with its default. Variables bear the name in `validation_alias`; `.env` is read too.

    Build it once per process (`read_settings()`), hand it to what needs it, never import an instance.
    """

    model_config = SettingsConfigDict(
        frozen=True, env_file=".env", env_ignore_empty=True, extra="ignore", populate_by_name=True
    )

    data_dir: Path = Field(Path("var"), validation_alias="VEDETTE_DATA_DIR")
    """Where the SQLite file, the embedded Redis and the local credentials live."""
    database_url: str = Field("", validation_alias="DATABASE_URL")
    """SQLAlchemy URL; empty means `vedette.sqlite3` in the data directory."""
    redis_url: str = Field("redis://127.0.0.1:6379/0", validation_alias="REDIS_URL")
    """The doorbell's Redis. `vedette up` starts one of its own unless this is set."""
    host: str = Field("127.0.0.1", validation_alias="VEDETTE_HOST")
    """Address the API listens on."""
    port: int = Field(8000, ge=0, le=65535, validation_alias="VEDETTE_PORT")
    """Port the API listens on; 0 lets `vedette up` choose a free one."""
    api_threads: int = Field(16, ge=2, validation_alias="VEDETTE_API_THREADS")
    """Threads of the API; at most half of them serve event streams at once."""
    worker_processes: int = Field(2, ge=1, validation_alias="VEDETTE_WORKER_PROCESSES")
    """Processes of one worker."""
    worker_threads: int = Field(4, ge=1, validation_alias="VEDETTE_WORKER_THREADS")
    """Tasks each worker process works on at once."""
    scan_concurrency: int | None = Field(None, ge=1, validation_alias="VEDETTE_SCAN_CONCURRENCY")
    """Scans among them; half of the threads if left out, so that the others stay free for other work."""
    worker_metrics: str = Field("", pattern=r"^(|.+:[0-9]{1,5})$", validation_alias="VEDETTE_WORKER_METRICS")
    """`address:port` where a worker serves Prometheus; empty means nowhere."""
    admin_token: SecretStr | None = Field(None, validation_alias="VEDETTE_ADMIN_TOKEN")
    """When set, the first admin's token: at least 24 characters."""
    api_url: str = Field("", validation_alias="VEDETTE_API_URL")
    """Where the client commands find the API; empty means the Vedette that `vedette up` runs on this data directory."""
    token: SecretStr | None = Field(None, validation_alias="VEDETTE_TOKEN")
    """The client commands' token."""
    lease_seconds: float = Field(15.0, ge=1, le=3600, validation_alias="VEDETTE_LEASE_SECONDS")
    """How long a worker that stopped answering keeps its task."""
    sweep_seconds: float = Field(2.0, ge=0.1, le=60, validation_alias="VEDETTE_SWEEP_SECONDS")
    """How often a scheduler sweeps."""
    token_days: int = Field(30, ge=1, validation_alias="VEDETTE_TOKEN_DAYS")
    """How long a token from POST /auth/login lives."""
    nvd_api_key: SecretStr | None = Field(None, validation_alias="NVD_API_KEY")
    """Raises the NVD's allowance from 5 requests in 30 s to 50."""
    nvd_api_url: str = Field(NVD_API, validation_alias="NVD_API_URL")
    """The API 2.0 to mirror from: the NVD's, or another Vedette's; `off` when it is not to be asked."""
    nvd_feed_url: str = Field(NVD_FEEDS, validation_alias="NVD_FEED_URL")
    """The folder with the 2.0 feeds to mirror from; `off` when it is not to be asked."""
    serve_nvd: Literal["off", "token", "open"] = Field("token", validation_alias="VEDETTE_SERVE_NVD")
    """Whether the mirror is served on as the NVD serves it: `token` to who has one, `open` to everybody, `off` not at all."""
    kev_url: str = Field(KEV, validation_alias="KEV_URL")
    """CISA's catalogue of known exploited vulnerabilities (JSON), or a copy; `off` when it is not to be asked."""
    epss_url: str = Field(EPSS, validation_alias="EPSS_URL")
    """FIRST's EPSS scores (CSV, packed with gzip or not), or a copy; `off` when they are not to be asked."""
    nvd_stale_after: float = Field(24.0, gt=0, validation_alias="NVD_STALE_AFTER")
    """Hours without a new record after which the mirror counts as stale."""
    delivery_retries: str = Field(RETRIES, validation_alias="VEDETTE_DELIVERY_RETRIES")
    """Seconds between the attempts to deliver a message, comma separated."""
    channel_pause_days: float = Field(3.0, gt=0, validation_alias="VEDETTE_CHANNEL_PAUSE_DAYS")
    """Days of nothing but failures after which a notification channel is paused."""
    max_document_bytes: int = Field(64 * 1024 * 1024, ge=1024, validation_alias="VEDETTE_MAX_DOCUMENT_BYTES")
    """Largest SBOM, unpacked, in bytes; also the largest request body."""
    secret_keys: SecretStr | None = Field(None, validation_alias="VEDETTE_SECRET_KEYS")
    """Keys that seal users' secrets in the database, comma separated, the newest first; at least 32 characters each."""
    allowed_destinations: str = Field("", validation_alias="VEDETTE_ALLOWED_DESTINATIONS")
    """Networks that messages may go to although they are not public, comma separated, with `:port` if need be."""
    smtp_host: str = Field("", validation_alias="SMTP_HOST")
    """The server that takes mail; empty means that none is sent."""
    smtp_port: int = Field(587, ge=1, le=65535, validation_alias="SMTP_PORT")
    """Where it listens."""
    smtp_security: str = Field("starttls", pattern="^(starttls|tls|none)$", validation_alias="SMTP_SECURITY")
    """`starttls` on the usual port 587, `tls` on 465, `none` only where nobody can listen in."""
    smtp_username: str = Field("", validation_alias="SMTP_USERNAME")
    """The name to log in with; empty means no login."""
    smtp_password: SecretStr | None = Field(None, validation_alias="SMTP_PASSWORD")
    """Its password."""
    smtp_from: str = Field("", validation_alias="SMTP_FROM")
    """The sender's address, `name@domain` or `Name <name@domain>`; needed once there is an SMTP_HOST."""
    scan_allowed_targets: str = Field("127.0.0.0/8,::1/128", validation_alias="VEDETTE_SCAN_ALLOWED_TARGETS")
    """Addresses and CIDR blocks, separated by commas: what network scans may be pointed at."""
    scan_max_addresses: int = Field(4096, ge=1, le=65_536, validation_alias="VEDETTE_SCAN_MAX_ADDRESSES")
    """How many addresses one network scan may have."""
    scan_seconds: int = Field(2700, ge=1, le=3300, validation_alias="VEDETTE_SCAN_SECONDS")
    """How long nmap may take for one network scan; hosts that are done by then count."""
    log_format: str = Field("json", pattern="^(json|text)$", validation_alias="VEDETTE_LOG_FORMAT")
    """`json` for machines, `text` for people."""

    @field_validator("database_url", "redis_url", "api_url", "kev_url", "epss_url")
    @classmethod
    def _check_url(cls, value: str, info: ValidationInfo) -> str:
        schemes = _SCHEMES[info.field_name or ""]
        if value and not value.startswith(schemes):
            raise ValueError(f"must begin with {' or '.join(schemes)}")
        return value

    @field_validator("allowed_destinations")
    @classmethod
    def _check_destinations(cls, value: str) -> str:
        try:
            Destinations.parse(value)
        except Invalid as error:
            raise ValueError(error.detail) from None
        return value

    @field_validator("smtp_from")
    @classmethod
    def _check_sender(cls, value: str) -> str:
        try:
            if value:
                mail_address(email.utils.parseaddr(value)[1])
        except Invalid:
            raise ValueError("must be name@domain or Name <name@domain>") from None
        return value

    @field_validator("secret_keys")
    @classmethod
    def _check_keys(cls, value: SecretStr | None) -> SecretStr | None:
        keys = value.get_secret_value().split(",") if value else []
        if any(len(key.strip()) < 32 for key in keys):
            raise ValueError("each key must have at least 32 characters")
        return value

    @field_validator("scan_allowed_targets")
    @classmethod
    def _check_allowance(cls, value: str) -> str:
        parse_allowance(value)
        return value

    @model_validator(mode="before")
    @classmethod
    def _check_token(cls, values: dict[str, object]) -> dict[str, object]:
        token = values.get("VEDETTE_ADMIN_TOKEN") or values.get("admin_token")
        if isinstance(token, str) and len(token) < 24:
            raise ValueError("VEDETTE_ADMIN_TOKEN must have at least 24 characters")
        return values

    @field_validator("delivery_retries")
    @classmethod
    def _check_retries(cls, value: str) -> str:
        try:
            waits = [float(each) for each in value.split(",")]
        except ValueError:
            raise ValueError("must be numbers of seconds, comma separated") from None
        if not all(0 < wait <= 7 * 86_400 for wait in waits):
            raise ValueError("each wait must be more than 0 s and at most a week")
        return value

    @property
    def retry_waits(self) -> tuple[float, ...]:
        """Seconds between the attempts to deliver a message."""
        return tuple(float(each) for each in self.delivery_retries.split(","))

    @property
    def pause_after(self) -> dt.timedelta:
        """How long a notification channel may fail before it is paused."""
        return dt.timedelta(days=self.channel_pause_days)

    @property
    def asks_nvd(self) -> bool:
        """Whether there is a source to mirror the NVD from."""
        return (self.nvd_api_url, self.nvd_feed_url) != (OFF, OFF)

    @property
    def mirror_stale_after(self) -> dt.timedelta:
        """Without a new record for longer than this the mirror counts as stale."""
        return dt.timedelta(hours=self.nvd_stale_after)

    @property
    def sqlalchemy_url(self) -> str:
        """The database to use, the default filled in; plain `postgresql://` gets the psycopg 3 driver."""
        if not self.database_url:
            return f"sqlite:///{(self.data_dir / 'vedette.sqlite3').absolute()}"
        for plain in ("postgres://", "postgresql://"):
            if self.database_url.startswith(plain):
                return "postgresql+psycopg://" + self.database_url.removeprefix(plain)
        return self.database_url

    @property
    def worker_metrics_address(self) -> tuple[str, int]:
        """`worker_metrics` as address and port."""
        address, _, port = self.worker_metrics.rpartition(":")
        return address.strip("[]"), int(port)

    @property
    def scans_at_once(self) -> int:
        """Scans that each worker process works on at once."""
        return self.scan_concurrency or max(1, self.worker_threads // 2)

    @property
    def scan_limits(self) -> Limits:
        """What one network scan may be pointed at."""
        return Limits(parse_allowance(self.scan_allowed_targets), self.scan_max_addresses)

    def make_data_dir(self) -> Path:
        """The data directory, made when missing; only its owner may look into it, since findings and tokens lie there."""
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self.data_dir

    def with_changes(self, **changes: object) -> Self:
        """A copy with some settings replaced, by attribute name."""
        return self.model_copy(update=changes)


def read_settings() -> Settings:
    """The settings of this process's environment.

    Raises Invalid, which names the variables that cannot be used and never shows their values: they may be secrets.
    """
    try:
        return Settings()
    except ValidationError as error:
        wrong = [
            ": ".join([*map(str, each["loc"]), each["msg"].removeprefix("Value error, ")])
            for each in error.errors()
        ]
        raise Invalid("A setting cannot be used. " + "; ".join(wrong)) from None
    except UnicodeDecodeError:
        raise Invalid("A setting cannot be used. The file .env is not UTF-8 text.") from None
