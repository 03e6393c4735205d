"""The table of unsafe settings is whole and true: a row for each rule that is tried, with how grave it is."""

import re

from portward.settings.checks import RULES
from tests.docs.pages import DOCS
from tests.settings.checks.test_unsafe import TRIED_ELSEWHERE, UNSAFE

PAGE = DOCS / "security.md"


def rows() -> dict[str, str]:
    """How grave each rule of the table is in production, by its words."""
    text = PAGE.read_text(encoding="utf-8").partition("## Unsafe settings")[2].partition("\n## ")[0]
    found = re.findall(r"^\| .+ \| `([a-z-]+)` \| (.+) \|$", text, re.MULTILINE)
    assert len(found) == len(dict(found)), "a rule has two rows"
    return dict(found)


def test_the_table_of_unsafe_settings_is_whole() -> None:
    """Every rule that an unsafe setting breaks has a row, and every row has a setting that breaks it."""
    tried = {rule: level for _, rule, level in UNSAFE} | TRIED_ELSEWHERE
    assert rows().keys() == tried.keys()
    assert {rule: level.value for rule, level in tried.items()} == {
        rule: words.partition(";")[0] for rule, words in rows().items()
    }


def test_its_rules_exist() -> None:
    """Every id of the table is one that `portward check` prints."""
    assert rows().keys() <= {rule.id for rule in RULES}
