"""What `dramatiq` and `periodiq` load: the broker first, then the actors and the timetable on it."""

import dramatiq
from dramatiq.middleware import TimeLimit
from periodiq import PeriodiqMiddleware

from shared import logs
from shared.database import make_engine, make_sessions
from shared.doorbell import make_broker, open_doorbell
from shared.settings import Settings
from worker_service import actors, interpreter, schedule
from worker_service.metrics import Exposition
from worker_service.shutdown import HandBack
from worker_service.standard_error import open_standard_error
from worker_service.tasks import Frame

settings = Settings()
logs.configure(settings.log_format, open_standard_error())
frame = Frame(
    make_sessions(make_engine(settings.sqlalchemy_url), open_doorbell(settings.redis_url)), settings
)
broker = make_broker(
    settings.redis_url,
    timeout=5.0,
    at_once={"scans": settings.scans_at_once},
    middleware=[
        HandBack(frame),
        TimeLimit(),
        PeriodiqMiddleware(skip_delay=30),
        *([Exposition()] if settings.worker_metrics else []),
    ],
)
dramatiq.set_broker(broker)
actors.declare(broker, frame)
schedule.declare(broker, frame.sessions, schedule.timetable_of(settings))

interpreter.settle()
