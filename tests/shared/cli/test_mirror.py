"""What `vedette nvd import` says while it waits."""

from shared import database
from shared.cli.mirror import waits_for
from shared.models.task import TaskState
from shared.tasks import SYNC_NVD_UPDATES, ask
from tests.builders import change


def test_an_import_says_what_it_waits_for(sessions):
    assert waits_for(sessions).startswith("no worker has taken this up yet")
    with database.transaction(sessions) as session:
        task_id = ask(session, SYNC_NVD_UPDATES, days_back=7, full=False)
    assert waits_for(sessions).startswith("no worker has taken this up yet")
    change(sessions, task_id, state=TaskState.PROGRESS)
    assert waits_for(sessions).startswith("sync_nvd_updates is under way, this follows when it has ended")
