"""When the jobs of the timetable are due next."""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class PeriodicJob(Base):
    """One line of the timetable, as far as the schedulers have come with it."""

    __tablename__ = "periodic_job"

    name: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    """The contract that it asks for."""
    cron: Mapped[str] = mapped_column(sa.String(64))
    """What `next_run_at` was worked out from (UTC)."""
    next_run_at: Mapped[dt.datetime]
