from portward.demo.people import people


def test_accounts_differ() -> None:
    """Ids, addresses and passwords differ, and are made anew every time."""
    ada, bob = people()
    again, _ = people()
    assert len({ada.id, bob.id, again.id}) == len({ada.password, bob.password, again.password}) == 3
    assert ada.email == again.email != bob.email
    assert (ada.everything, bob.everything) == (True, False)


def test_password_is_not_shown() -> None:
    """The repr of an account does not tell its password."""
    ada, _ = people()
    assert ada.password not in repr(ada)
