"""What can go wrong while settings are read.

SettingsError    one line for the operator: the key, what is wrong with it, where it came from
"""


class SettingsError(Exception):
    """The settings cannot be used. The text is a single line and never holds a secret."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))
