"""The error for wrong settings.

SettingsError    one line for the operator: the key, the problem, the source
"""


class SettingsError(Exception):
    """The settings cannot be used. The text is a single line and never contains a secret."""

    def __init__(self, text: str) -> None:
        super().__init__(" ".join(text.split()))
