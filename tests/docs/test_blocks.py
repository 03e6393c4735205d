"""Every fenced block is run by a test, or says here why it is not."""

import ast
from collections.abc import Iterator, Mapping
from typing import Final

import pytest

from tests.docs.commands import CASES
from tests.docs.pages import DOCS, ROOT, Block, blocks, pages
from tests.docs.test_commands import CONNECTS
from tests.docs.test_snippets import GATEWAY
from tests.recipes.recipe import of_a_recipe

KINDS: Final = (
    *("console", "json", "json client", "json server", "python", "toml"),
    *("js", "javascript", "ts", "tsx", "http", "yaml"),
)
"""Kinds of blocks that a reader copies. Files of nginx and HAProxy are run by `tests/e2e/test_proxied.py`."""
EVERY: Final[Mapping[str, str]] = {
    "toml": "docs/test_pages.py::test_settings_load",
    "js": "docs/test_snippets.py::test_javascript_is_javascript",
    "ts": "docs/test_browser_client.py::test_types_resolve",
    "tsx": "docs/test_browser_client.py::test_types_resolve",
}
"""Kinds of which one test runs all."""
WHOLE: Final[Mapping[tuple[str, str], str]] = {
    ("start.md", "console"): "docs/test_start.py::test_the_five_minutes",
    ("start.md", "python"): "docs/test_start.py::test_the_script",
    ("tutorial.md", "console"): "docs/test_tutorial.py::test_the_tutorial",
    ("tutorial.md", "json"): "docs/test_tutorial.py::test_the_tutorial",
    ("tutorial.md", "python"): "docs/test_tutorial.py::test_the_tutorial",
    ("how-to/browser-client.md", "console"): "docs/test_browser_client.py::test_common_js_in_node",
    ("../README.md", "python"): "docs/test_embed.py::test_the_application_of_the_readme",
    ("how-to/publish.md", "console"): "docs/test_publish.py::test_the_django_command",
    ("how-to/embed.md", "console"): "docs/test_embed.py::test_the_fastapi_application",
    ("endpoints/rooms.md", "python"): "docs/test_rooms.py::test_signature_is_verified_as_shown",
    ("endpoints/rooms.md", "json"): "docs/test_rooms.py::test_room_record_is_one",
    (
        "endpoints/rooms.md",
        "json client",
    ): "docs/test_rooms.py::test_client_examples_are_understood",
    (
        "endpoints/rooms.md",
        "json server",
    ): "docs/test_rooms.py::test_server_examples_have_the_keys_of_the_dialect",
    ("endpoints/alerts.md", "json"): "docs/test_messages.py::test_rights_of_a_token_for_alerts",
    ("endpoints/live.md", "http"): "docs/test_messages.py::test_the_question_to_the_provider",
    ("endpoints/workspaces.md", "http"): "docs/test_workspaces.py::test_the_signature_example",
    ("endpoints/workspaces.md", "python"): "docs/test_workspaces.py::test_examples_work",
    ("endpoints/workspaces.md", "console"): "docs/test_workspaces.py::test_commands_work",
    (
        "reference/admin-api.md",
        "console",
    ): "docs/test_admin_api.py::test_every_command_is_answered_as_shown",
    ("operations.md", "json"): "docs/test_messages.py::test_a_line_of_the_log_has_known_fields",
    **{
        (page, f"json {side}"): f"docs/test_messages.py::test_what_{sender}"
        for page in (
            *("endpoints/alerts.md", "endpoints/live.md", "endpoints/relay.md"),
            "how-to/write-a-client.md",
        )
        for side, sender in (("server", "the_gateway_sends"), ("client", "clients_send"))
    },
}
"""Pages of which one test runs all blocks of a kind."""
SINGLE: Final[Mapping[tuple[str, str], str]] = {
    (
        "how-to/production.md",
        "--unix-socket",
    ): "docs/test_commands.py::test_a_unix_socket",
    (
        "how-to/production.md",
        "--haproxy-protocol",
    ): "docs/test_commands.py::test_the_proxy_protocol",
    **{
        (each.page, each.within): "docs/test_commands.py::test_a_block_of_commands_runs"
        for each in CASES
    },
    **{
        (each.page, each.within): "docs/test_commands.py::test_a_block_that_connects"
        for each in CONNECTS
    },
    **dict.fromkeys(GATEWAY, "docs/test_snippets.py::test_python_runs"),
    ("endpoints/echo.md", "-m websockets"): "docs/test_commands.py::test_a_block_of_a_conversation",
    (
        "how-to/migrate-relay.md",
        "-m websockets",
    ): "docs/test_commands.py::test_a_block_of_a_conversation",
    (
        "operations.md",
        "portward serve --config",
    ): "docs/test_commands.py::test_the_blocks_of_operations",
    (
        "operations.md",
        "portward audit verify",
    ): "docs/test_commands.py::test_the_blocks_of_operations",
    (
        "operations.md",
        'trap "" HUP',
    ): "test_main.py::test_hang_ups_that_are_ignored_from_the_outside",
    (
        "how-to/scale.md",
        "--workers 4",
    ): "docs/test_commands.py::test_the_workers_of_the_page_on_scaling",
    (
        "how-to/scale.md",
        "audit verify",
    ): "docs/test_scale.py::test_sound_audit_files_pass_the_printed_loop",
    (
        "how-to/production.md",
        "install -d",
    ): "docs/test_commands.py::test_the_secrets_of_the_production_page",
    (
        "how-to/production.md",
        "docker run",
    ): "docs/test_docker.py::test_the_commands_of_the_page_fit_the_image",
    ("how-to/publish.md", "sys.argv[1]"): "docs/test_publish.py::test_scripts",
    ("how-to/publish.md", "report-{today}"): "docs/test_publish.py::test_scripts",
    ("how-to/publish.md", "AsyncPublisher("): "docs/test_publish.py::test_scripts",
    ("how-to/publish.md", "Retries(attempts=6"): "docs/test_publish.py::test_the_bounds",
    ("how-to/publish.md", "@app.task"): "docs/test_publish.py::test_the_celery_task",
    ("how-to/publish.md", "BaseCommand"): "docs/test_publish.py::test_the_django_command",
    ("how-to/embed.md", "async def login"): "docs/test_embed.py::test_the_fastapi_application",
    ("how-to/embed.md", "with Publisher("): "docs/test_embed.py::test_the_fastapi_application",
    (
        "how-to/embed.md",
        "app = Starlette(",
    ): "docs/test_embed.py::test_the_starlette_application",
    ("how-to/embed.md", "get_asgi_application()"): "docs/test_embed.py::test_the_django_project",
    ("how-to/embed.md", "urlpatterns"): "docs/test_embed.py::test_the_django_project",
    ("how-to/embed.md", "memory_gateway"): "docs/test_snippets.py::test_the_test_of_the_page",
    **{
        ("how-to/python-client.md", within): "docs/test_python_client.py::test_programs"
        for within in (
            "python hello.py",
            '== "bye"',
            "are you there?",
            "what did I miss?",
            "alerts.subscribe",
            "client.sync",
        )
    },
    (
        "how-to/write-an-engine.md",
        "engine=engine",
    ): "docs/test_snippets.py::test_an_engine_of_ones_own",
}
"""One block each, by its page and a text in it."""
EXEMPT: Final[Mapping[tuple[str, str], str]] = {
    (
        "../README.md",
        "make demo",
    ): "these are the verbs that tests are run by; `make fresh` runs the demo",
    (
        "performance.md",
        "make bench",
    ): "takes half an hour; tests/bench/test_quick.py runs the smallest part",
    (
        "performance.md",
        "bench/compare.py",
    ): "needs a second checkout; tests/bench/test_compare.py runs its parts",
    (
        "performance.md",
        "--fill docs",
    ): "rewrites the page itself; tests/bench/test_report.py fills a copy",
    (
        "how-to/migrate-live.md",
        "$DIRECTUS_BASE_URL",
    ): "asks a Directus; `make test-directus` asks a real one",
    (
        "operations.md",
        "reloaded: gate",
    ): "output alone; tests/cli/test_serve.py reads the real line",
    (
        "endpoints/relay.md",
        "AsyncOpenAI",
    ): "needs an upstream; tests/e2e/test_relay.py uses that library",
    (
        "how-to/write-a-client.md",
        "Portward(",
    ): "needs a server; tests/e2e/test_python_client.py runs these calls against one",
    (
        "how-to/python-client.md",
        "httpx",
    ): "asks the reader's own site; tests/client/test_tokens.py has every kind of source",
    (
        "how-to/python-client.md",
        "client.live(",
    ): "needs a provider; tests/e2e/test_python_client.py runs these calls against one",
    (
        "how-to/python-client.md",
        "client.relay(",
    ): "needs an upstream; tests/e2e/test_python_client.py runs these calls against one",
    (
        "reference/admin-api.md",
        "scrape_configs",
    ): "a file of Prometheus, which is not installed for tests",
}
"""Blocks that no test runs, and why not. Python among them is compiled by `docs/test_pages.py`."""


def copied() -> Iterator[tuple[str, str, Block]]:
    """Every block of these kinds: its page, its kind, and itself."""
    found = {block for kind in KINDS for page in pages() for block in blocks(kind, page)}
    for block in sorted(found):
        page = block.page
        name = f"../{page.name}" if page.parent == ROOT else str(page.relative_to(DOCS))
        yield name, block.info, block


ALL: Final = list(copied())


def listed(name: str, kind: str, block: Block) -> list[str]:
    """What is said of a block, here."""
    general = [EVERY.get(kind), WHOLE.get((name, kind))]
    single = [
        said
        for table in (SINGLE, EXEMPT)
        for (page, within), said in table.items()
        if page == name and within in block.text and kind in {"console", "python", "yaml"}
    ]
    if of_a_recipe(block):
        single.append("recipes/test_recipes.py::test_a_recipe_works")
    return [each for each in general if each] + single


def test_a_block_is_run_or_exempt() -> None:
    """A block that a reader may copy is in one of the tables."""
    found = [block for name, kind, block in ALL if not listed(name, kind, block)]
    assert found == [], "no test runs them: add one, or a reason why not"


def test_no_entry_is_left_over() -> None:
    """Every single entry is about a block that is there, and about one alone."""
    kinds = ("console", "python", "yaml")
    for page, within in (*SINGLE, *EXEMPT):
        found = [
            block
            for name, kind, block in ALL
            if name == page and kind in kinds and within in block.text
        ]
        assert len(found) == 1, (page, within)


@pytest.mark.parametrize("key", WHOLE, ids=":".join)
def test_no_page_is_left_over(key: tuple[str, str]) -> None:
    """Every page that is listed as a whole has blocks of the kind."""
    assert any((name, kind) == key for name, kind, _ in ALL)


@pytest.mark.parametrize("test", sorted({*EVERY.values(), *WHOLE.values(), *SINGLE.values()}))
def test_the_tests_exist(test: str) -> None:
    """What is said to run a block is a test of this tree."""
    path, _, name = test.partition("::")
    tree = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    functions = {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert name in functions
