"""Users over HTTP."""

import concurrent.futures
import threading
import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.user import Role, User

ADA = {"email": "Ada@Example.org", "name": "Ada", "role": "analyst", "password": "correct horse battery"}


def test_a_created_user_is_answered_found_and_listed(admin):
    created = admin.post("/users", ADA)
    assert created.status_code == 201
    assert created.json["email"] == "ada@example.org"
    assert "password" not in str(created.json)
    assert admin.get(created.headers["Location"]).json == created.json
    listed = admin.get("/users?role=analyst")
    assert listed.json == [created.json]
    assert '"total": 1' in listed.headers["X-Pagination"]


def test_an_address_is_one_in_upper_and_lower_case(admin):
    admin.post("/users", ADA)
    again = admin.post("/users", {**ADA, "email": "ada@EXAMPLE.org"})
    assert again.status_code == 409
    assert again.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", "nobody"),
        ("email", None),
        ("name", "  "),
        ("name", "x" * 201),
        ("name", 5),
        ("name", "a\x00b"),
        ("name", "a\ud800b"),
        ("role", "root"),
        ("password", "short"),
        ("surprise", 1),
    ],
)
def test_a_wrong_field_is_422_and_named(admin, field, value):
    answer = admin.post("/users", {**ADA, field: value})
    assert answer.status_code == 422
    if value not in ("a\x00b", "a\ud800b"):
        assert list(answer.json["errors"]) == [field]


def test_only_what_is_sent_changes(admin, analyst):
    changed = admin.patch(f"/users/{analyst.user_id}", {"name": "Grace"})
    assert changed.status_code == 200
    assert (changed.json["name"], changed.json["role"]) == ("Grace", "analyst")


def test_a_deactivated_user_is_out_at_once(admin, analyst):
    assert analyst.get("/auth/tokens").status_code == 200
    assert admin.patch(f"/users/{analyst.user_id}", {"active": False}).status_code == 200
    assert analyst.get("/auth/tokens").status_code == 401


def test_a_new_role_counts_at_once(admin, viewer):
    assert viewer.get("/users").status_code == 403
    admin.patch(f"/users/{viewer.user_id}", {"role": "admin"})
    assert viewer.get("/users").status_code == 200


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"active": False}])
def test_the_last_active_admin_stays_one(admin, change):
    assert admin.patch(f"/users/{admin.user_id}", change).status_code == 409
    assert admin.delete(f"/users/{admin.user_id}").status_code == 409
    assert admin.get("/users").status_code == 200


def test_a_deleted_user_is_gone_with_their_tokens(admin, viewer):
    gone = admin.delete(f"/users/{viewer.user_id}")
    assert (gone.status_code, gone.data) == (204, b"")
    assert viewer.get("/auth/tokens").status_code == 401
    assert admin.delete(f"/users/{viewer.user_id}").status_code == 404


@pytest.mark.parametrize("name", [str(uuid.UUID(int=0)), "x", "%00"])
def test_what_does_not_exist_is_404(admin, name):
    answer = admin.get(f"/users/{name}")
    assert answer.status_code == 404
    assert answer.content_type == "application/problem+json"


def test_users_are_for_admins(nobody, analyst):
    for method in ("GET", "POST"):
        assert nobody.ask(method, "/users").status_code == 401
        assert analyst.ask(method, "/users").status_code == 403


def test_two_admins_who_demote_each_other_leave_one(admin, caller, app, sessions):
    other = caller(Role.ADMIN)
    for _ in range(5):
        barrier = threading.Barrier(2)

        def demote(pair, barrier=barrier):
            asker, target = pair
            barrier.wait()
            return app.test_client().patch(
                f"/api/v1/users/{target.user_id}",
                json={"role": "viewer"},
                headers={"Authorization": f"Bearer {asker.token}"},
            )

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(demote, ((admin, other), (other, admin))))
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses[0] == 200
        assert statuses[1] in (403, 409)
        with database.transaction(sessions) as session:
            assert session.scalar(sa.select(sa.func.count()).where(User.role == Role.ADMIN)) == 1
            session.execute(sa.update(User).values(role=Role.ADMIN))
