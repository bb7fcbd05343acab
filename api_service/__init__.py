"""The HTTP service. The same noun has a file of its name in `resources`, `schemas` and `services`.

How a noun is built (`users` is the complete example):

* `services/users.py`: what may be done and under which rules. Plain functions `(session, ...)` that know no web
  framework, return models or small values and raise the exceptions of `shared.errors`. Lists take a
  `paging.PageRequest` and return a `paging.Page`. They never commit.
* `schemas/users.py`: the contract, in marshmallow; `Input` for what comes in (unknown fields are refused), `PageQuery`
  for lists with their filters, `Output` for what goes out. Every field carries `metadata` with `description` and
  `example`; the examples of all fields together are the example of the operation, so they must work as they stand. An
  optional field without an example is left out of it; filters have none, because Swagger UI would fill them in.
* `resources/users.py`: `blueprint = Blueprint("users", "what the noun is")` and one function per operation:

      @blueprint.operation("GET", "/users", role=Role.ADMIN)          # who may; raises=(...) adds error answers
      @blueprint.arguments(UserQuery, location="query")               # 422 and the parameters follow from it
      @blueprint.page(UserSchema)                                     # 200, a list, X-Pagination; or .response(201, ...)
      def list_users(query):
          \"\"\"List users.                                             # the summary in OpenAPI

          Newest first.                                                # the description
          \"\"\"
          with database.reading(sessions()) as session:
              return users.list_users(session, **query)

  The function's name in camel case is the operationId. Every operation gets 401, 403, 404 (when its path has a
  parameter), 400/413/415/422 (when it takes a body), 500 and 503 without being told; `raises` names the rest. A POST that
  creates or starts says `idempotent=True` and answers through `idempotency.once`, in its transaction.
* `app.py`: one line in `BLUEPRINTS`.

Who asks is `auth.principal()`; what the process is made of is `context.sessions()`, `context.settings()`,
`context.parts()`. Errors are raised, never answered: `errors.py` turns them into problem+json.
"""
