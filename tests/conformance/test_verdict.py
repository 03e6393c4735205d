from tests.conformance.verdict import read_list, troubles

FINE = {"behavior": "OK", "behaviorClose": "OK"}


def test_a_clean_report_has_no_troubles() -> None:
    """A report of passed and informational cases is accepted."""
    informational = {"behavior": "INFORMATIONAL", "behaviorClose": "INFORMATIONAL"}
    assert troubles({"1.1.1": FINE, "7.13.1": informational}, {}) == []


def test_a_failed_case_is_a_trouble() -> None:
    """A failed case is named, whatever the list says of it."""
    failed = {"behavior": "FAILED", "behaviorClose": "OK"}
    assert troubles({"2.5": failed}, {"2.5": "NON-STRICT"}) == ["2.5: FAILED"]
    assert troubles({"2.5": failed}, {"2.5": "FAILED"}) == ["2.5: FAILED"]


def test_a_wrong_close_is_a_trouble() -> None:
    """A case that behaved but closed wrongly is named."""
    closed = {"behavior": "OK", "behaviorClose": "WRONG CODE"}
    assert troubles({"7.1.5": closed}, {}) == ["7.1.5: close: WRONG CODE"]


def test_only_listed_cases_may_be_non_strict() -> None:
    """A non-strict case is a trouble unless it is in the list."""
    case = {"behavior": "NON-STRICT", "behaviorClose": "OK"}
    listed = {"6.4.1": "NON-STRICT"}
    assert troubles({"6.4.1": case}, listed) == []
    assert troubles({"6.4.2": case}, listed) == ["6.4.2: NON-STRICT"]


def test_a_listed_case_may_come_to_nothing_but_what_is_listed() -> None:
    """A pattern stands for its cases, and for one outcome."""
    declined = {"behavior": "UNIMPLEMENTED", "behaviorClose": "UNIMPLEMENTED"}
    assert troubles({"13.3.18": declined}, {"13.3.*": "UNIMPLEMENTED"}) == []
    assert troubles({"13.3.18": declined}, {"13.3.*": "NON-STRICT"}) == ["13.3.18: UNIMPLEMENTED"]


def test_an_empty_report_is_a_trouble() -> None:
    """A run in which nothing was tested does not count as passed."""
    assert troubles({}, {}) == ["no case was run"]


def test_remarks_in_the_list_are_left_out() -> None:
    """A line of the list is a case, an outcome and a remark."""
    text = "# all\n6.4.1  NON-STRICT  # late\n\n13.3.*  UNIMPLEMENTED\n"
    assert read_list(text) == {"6.4.1": "NON-STRICT", "13.3.*": "UNIMPLEMENTED"}
