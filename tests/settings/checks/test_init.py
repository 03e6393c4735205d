from portward.settings.checks import RULES, CheckLevel, checklist, startup_errors
from portward.settings.tree import Settings
from tests.settings.checks.judging import GOOD, MACHINE, OTHER, findings
from tests.settings.reading import settings

THIRD = "sk-proj-Xq7Lw2Tn9Vb4Kc1Zr8Md5Hy3Jf6Gp0Sa"
PRODUCTION = f"""
    environment = "production"
    [server]
    host = "0.0.0.0"
    behind_tls_proxy = true
    trusted_proxies = ["10.0.0.0/8"]
    [gate]
    allowed_origins = ["https://app.example"]
    [tokens]
    secrets = ["{GOOD}"]
    session_secret = "{OTHER}"
    issuer = "https://issuer.example"
    audience = "portward"
    [identity_provider]
    url = "https://directus.example"
    [upstream]
    api_key = "{THIRD}"
    max_tokens = 200000
    [admin]
    api_keys = ["sha256:{"0f" * 32}"]
    [endpoints.alerts]
    credentials = ["header", "ticket"]
    [rooms.lobby]
"""


def test_rules_have_names_of_their_own() -> None:
    """An id stands for one rule, and every rule says what is right."""
    assert len({rule.id for rule in RULES}) == len(RULES)
    assert all(rule.right and not rule.right.endswith(".") for rule in RULES)


def test_every_rule_speaks() -> None:
    """The list has at least one row a rule, in the order of the rules."""
    found = checklist(Settings(), MACHINE)
    assert list(dict.fromkeys(finding.id for finding in found)) == [rule.id for rule in RULES]


def test_a_careful_production_passes_every_rule() -> None:
    """Nothing is warned about that cannot be put right."""
    found = checklist(settings(PRODUCTION), MACHINE)
    assert {finding.level for finding in found} == {CheckLevel.OK, CheckLevel.SKIP}
    assert all(not finding.change for finding in found)


def test_every_objection_says_what_to_change() -> None:
    """A warning without a way out would be noise."""
    found = checklist(Settings(), MACHINE, production=True)
    objections = [
        finding for finding in found if finding.level in {CheckLevel.WARN, CheckLevel.FAIL}
    ]
    assert objections
    assert all(finding.change and "\n" not in finding.what for finding in objections)


def test_a_bare_development_starts_and_a_bare_production_does_not() -> None:
    """Defaults are for this machine; production has to be thought about."""
    assert startup_errors(Settings(), MACHINE) == []
    found = checklist(Settings(), MACHINE, production=True)
    failed = {finding.id for finding in found if finding.level is CheckLevel.FAIL}
    assert failed == {"token-key-missing", "plain-text", "admin-key-missing"}


def test_production_can_be_asked_for() -> None:
    """The same file is judged for where it will run, without changing it."""
    tree = Settings()
    assert findings(tree, "plain-text")[0].level is CheckLevel.SKIP
    assert findings(tree, "plain-text", production=True)[0].level is CheckLevel.FAIL
    assert not tree.production


def test_warnings_stop_nothing() -> None:
    """What development puts up with is no start-up error there."""
    weak = settings('tokens.secrets = ["short"]')
    assert startup_errors(weak, MACHINE) == []


def test_findings_show_no_secret() -> None:
    """Weak secrets are told by their place."""
    tree = settings("""
        [tokens]
        secrets = ["hunter2"]
        session_secret = "hunter2"
        [admin]
        api_keys = ["hunter2", "sha256:hunter2"]
        [identity_provider]
        url = "https://admin:hunter2@directus.example"
        [upstream]
        url = "wss://admin:hunter2@upstream.example/?key=hunter2"
        api_key = "hunter2 your-api-key"
        models = ["hunter2/"]
        pin = { A = "hunter2" }
        [endpoints.rooms]
        reconnect_url = "wss://admin:hunter2@gate.example"
        sign_messages = true
        sign_secret = "hunter2"
    """)
    for production in (False, True):
        found = checklist(tree, MACHINE, production=production)
        assert "hunter2" not in repr(found)
