"""`POST /api/<method>`: checks the key, the method, the scope and the body, in this order."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

import portward.admin.request_body as request_body
from portward.admin.batch import BatchResult
from portward.admin.errors import NOT_FOUND, ApiError, ApiFailure, bad_request, explain
from portward.admin.keys import ApiCaller, Keyring
from portward.model.errors import CommandError, Unavailable
from portward.node.admin_method import AdminMethod, MethodContext
from portward.node.node import Node
from portward.telemetry import Event
from portward.telemetry.fields import Fields

JSON: Final = "application/json"
LISTENER: Final = "admin"
"""The name of this listener in log events about an endpoint."""


class ApiAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """The answer to a successful request.

    The replies of a batch are also beside `result`, because Centrifugo puts them there.
    """

    result: msgspec.Struct
    replies: list[msgspec.Raw] | None = None


class Api:
    """Runs methods for callers with an API key."""

    def __init__(self, node: Node, keyring: Keyring, methods: Mapping[str, AdminMethod]) -> None:
        self._node = node
        self._methods = methods
        self._keyring = keyring

    async def call(self, request: Request) -> Response:
        """Answer a request for the method in its path.

        Raises:
            ApiError: the request is refused.
        """
        return await self._answer(request, str(request.path_params["method"]))

    def alias(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        """Return the endpoint of the second address of a method, whose request may be in the path."""

        async def endpoint(request: Request) -> Response:
            return await self._answer(request, name, dict(request.path_params) or None)

        return endpoint

    async def _answer(self, request: Request, name: str, given: Any = None) -> Response:
        call = _Call(self._node, self._methods, self.authorize(request), _address(request))
        found = call.find(name)
        try:
            body = given
            if given is None:
                body = await request_body.parse(await request_body.read(request))
            result = await call.run(found, body)
        except (CommandError, Unavailable) as error:
            raise explain(error) from None
        replies = result.replies if isinstance(result, BatchResult) else None
        return json(ApiAnswer(result, replies))

    def authorize(self, request: Request) -> ApiCaller:
        """Return the caller of a request.

        Raises:
            ApiError: 401, the key is missing or unknown; this is recorded.
        """
        try:
            return self._keyring.caller(request.headers)
        except ApiError as error:
            self._node.telemetry.record(
                Event.AUTH_FAIL,
                endpoint=LISTENER,
                address=_address(request),
                reason=error.body.message,
            )
            raise


class _Call:
    """One HTTP request of a caller: one method, or the commands of a batch."""

    def __init__(
        self,
        node: Node,
        methods: Mapping[str, AdminMethod],
        caller: ApiCaller,
        address: str | None,
    ) -> None:
        self._methods = methods
        self._telemetry = node.telemetry
        self._caller = caller
        self._address = address
        self._context = MethodContext(node, self._command)

    def find(self, name: str) -> AdminMethod:
        """Return the method of a name.

        Raises:
            ApiError: there is none, or the key lacks its scope; the latter is recorded.
        """
        found = self._methods.get(name)
        if found is None:
            raise ApiError(404, NOT_FOUND, "unknown method")
        try:
            if found.scope is not None:
                self._caller.needs(found.scope)
        except ApiError:
            self._telemetry.record(
                Event.AUTHZ_DENY, endpoint=LISTENER, method=name, key_id=self._caller.label
            )
            raise
        return found

    async def run(self, method: AdminMethod, body: Any) -> msgspec.Struct:
        """Run a method.

        Raises:
            ApiError, CommandError, Unavailable: the command is refused.
        """
        request = request_body.convert(body, method.request)
        result = await method.handler(self._context, request)
        if method.act:
            self._telemetry.record(Event.ADMIN_ACT, **self._about(method.name, request))
        return result

    async def _command(self, name: str, body: Any) -> msgspec.Struct:
        if name == "batch":
            raise bad_request("a batch inside a batch")
        return await self.run(self.find(name), body)

    def _about(self, name: str, request: msgspec.Struct) -> Fields:
        """Return the log fields: the caller, the method and its target, nothing else of the request."""
        return {
            "method": name,
            "key_id": self._caller.label,
            "address": self._address,
            "user": getattr(request, "user", None) or None,
            "client": getattr(request, "client", None) or None,
            "channel": getattr(request, "channel", None),
            "jti": getattr(request, "jti", None) or None,
        }


def _address(request: Request) -> str | None:
    return request.client.host if request.client is not None else None


def json(value: ApiAnswer | ApiFailure | dict[str, Any], status: int = 200) -> Response:
    """Make a JSON response, without any character that a browser could read as the start of a tag."""
    text = msgspec.json.encode(value).replace(b"<", b"\\u003c")
    return Response(text, status, media_type=JSON)
