"""Rules about the address to which decisions on requests for approval are posted."""

from collections.abc import Iterator
from typing import Final

from portward.settings.checks import addresses, unused
from portward.settings.checks.rule import CheckLevel, CheckProblem, CheckRule, Context
from portward.settings.checks.secrets import weakness
from portward.settings.endpoint import EndpointSettings

_DIALECT: Final = "socketio"


def _doors(context: Context) -> Iterator[tuple[str, str, EndpointSettings]]:
    """Yield the endpoints with such an address, and the key of the address."""
    for name, endpoint in context.served.items():
        if endpoint.approval_webhook:
            yield name, f"endpoints.{name}.approval_webhook", endpoint


def _flaw(endpoint: EndpointSettings) -> str | None:
    return addresses.flaw(endpoint.approval_webhook, ("https", "http"), query=True)


def _form(context: Context) -> Iterator[CheckProblem]:
    for name, key, endpoint in _doors(context):
        flaw = _flaw(endpoint)
        if flaw:
            yield CheckProblem(CheckLevel.FAIL, f"{key} {flaw}", f'{key} = "https://…"')
        elif endpoint.dialect != _DIALECT:
            what = f"{key} is set, and at endpoint {name} nobody is asked to approve anything"
            yield CheckProblem(CheckLevel.WARN, what, f'{key} = ""')


def _plain(context: Context) -> Iterator[CheckProblem]:
    for _, key, endpoint in _doors(context):
        url = endpoint.approval_webhook
        if not _flaw(endpoint) and url.lower().startswith("http:") and not addresses.is_here(url):
            what = (
                f"{key} is plain http: whoever is on the way reads verdicts, and can make them up"
            )
            yield CheckProblem(context.grave, what, f'{key} = "https://…"')


def _unsigned(context: Context) -> Iterator[CheckProblem]:
    for name, _, endpoint in _doors(context):
        key = f"endpoints.{name}.approval_webhook_secret"
        change = f'{key} = "…"  # the output of `openssl rand -base64 48`'
        why = weakness(endpoint.approval_webhook_secret.reveal())
        if not endpoint.approval_webhook_secret:
            what = f"{key} is not set: who is posted to cannot tell our verdicts from made-up ones"
            yield CheckProblem(context.grave, what, change)
        elif _is_used_elsewhere(context, endpoint):
            yield CheckProblem(
                CheckLevel.FAIL, f"{key} is a secret that tokens are signed with", change
            )
        elif why:
            yield CheckProblem(context.grave, f"{key} {why}", change)


def _is_used_elsewhere(context: Context, endpoint: EndpointSettings) -> bool:
    tokens = context.settings.tokens
    return endpoint.approval_webhook_secret in (*tokens.secrets, tokens.session_secret)


WEBHOOK_RULES: Final = (
    CheckRule(
        "webhook-form",
        "verdicts are posted to an address, or nowhere",
        _form,
        always=True,
        unused=unused.no_webhook,
    ),
    CheckRule("webhook-plain", "verdicts are posted over https", _plain, unused=unused.no_webhook),
    CheckRule(
        "webhook-unsigned", "posted verdicts are signed", _unsigned, unused=unused.no_webhook
    ),
)
