import ast
from pathlib import Path

import portward.client


def test_public_names_are_listed() -> None:
    """Every name the package imports is public, and the other way round."""
    tree = ast.parse(Path(portward.client.__file__).read_text())
    imported = {
        alias.asname or alias.name
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert set(portward.client.__all__) == imported
    assert portward.client.__all__ == sorted(
        portward.client.__all__, key=portward.client.__all__.index
    )
