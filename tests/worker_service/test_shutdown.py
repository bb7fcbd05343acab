from shared.models.task import TaskState
from tests.builders import ask_for, read
from worker_service.shutdown import HandBack


def test_a_process_that_stops_asks_its_tasks_to_and_then_takes_them_back(frame, sessions):
    hooks = HandBack(frame)
    seen = []

    def handler(work, days_old):
        hooks.before_worker_shutdown(None, None)
        seen.append(read(sessions, work.task_id).state)
        hooks.after_worker_shutdown(None, None)
        seen.append(read(sessions, work.task_id).state)
        work.raise_if_cancelled()

    task = ask_for(sessions)
    frame.run(str(task.id), handler)
    assert seen == [TaskState.STARTED, TaskState.PENDING]
    assert read(sessions, task.id).attempt == 0
