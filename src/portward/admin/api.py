"""`POST /api/<method>`: checks the key, the method, the scope and the body, in this order."""

from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from portward.admin import request_body
from portward.admin.batch import NAME as BATCH
from portward.admin.context import MethodContext
from portward.admin.errors import NOT_FOUND, ApiError, ApiFailure, bad_request, explain
from portward.admin.keys import ApiCaller, Keyring
from portward.admin.methods import METHODS, Method
from portward.admin.results import BatchResult
from portward.model.errors import CommandError, Unavailable
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

    def __init__(self, node: Node, keyring: Keyring) -> None:
        self._node = node
        self._keyring = keyring

    async def __call__(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            ApiError: the request is refused.
        """
        return await self.answer(request, str(request.path_params["method"]))

    async def answer(self, request: Request, name: str, given: Any = None) -> Response:
        """Answer one request for a method; `given` replaces the body when the path contains all parameters.

        Raises:
            ApiError: the request is refused.
        """
        caller = self.authorize(request)
        method = self._method(caller, name)
        try:
            body = given
            if given is None:
                body = await request_body.parse(await request_body.read(request))
            call = MethodContext(self._node, caller, _address(request), self.run)
            result = await self._carry_out(call, name, method, body)
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

    async def run(self, call: MethodContext, name: str, body: Any) -> msgspec.Struct:
        """Run one command of a batch.

        Raises:
                ApiError, CommandError, Unavailable: the command is refused.
        """
        if name == BATCH:
            raise bad_request("a batch inside a batch")
        return await self._carry_out(call, name, self._method(call.caller, name), body)

    def _method(self, caller: ApiCaller, name: str) -> Method:
        method = METHODS.get(name)
        if method is None:
            raise ApiError(404, NOT_FOUND, "unknown method")
        if method.scope is None:
            return method
        try:
            caller.needs(method.scope)
        except ApiError:
            self._node.telemetry.record(
                Event.AUTHZ_DENY, endpoint=LISTENER, method=name, key_id=caller.label
            )
            raise
        return method

    async def _carry_out(
        self, call: MethodContext, name: str, method: Method, body: Any
    ) -> msgspec.Struct:
        request = request_body.convert(body, method.request)
        result = await method.handler(call, request)
        if method.act:
            self._node.telemetry.record(Event.ADMIN_ACT, **_about(call, name, request))
        return result


def _about(call: MethodContext, name: str, request: msgspec.Struct) -> Fields:
    """Return the log fields of a call: the caller, the method and its target, nothing else of the request."""
    return {
        "method": name,
        "key_id": call.caller.label,
        "address": call.address,
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
