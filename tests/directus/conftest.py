"""Directus takes minutes to install and seconds to start: these tests run when they are asked for."""

from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder out, unless it or a file of it was named on the command line."""
    named = [(config.invocation_params.dir / arg.split("::")[0]).resolve() for arg in config.args]
    asked = any(path.is_relative_to(HERE) for path in named)
    return None if asked or not collection_path.is_relative_to(HERE) else True
