"""The architecture is kept: which package imports which, what touches what, how large things grow."""

import ast
import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "src"
PACKAGE = "portward"

RANKS = {
    "model": 0,
    "wire": 1,
    "settings": 1,
    "security": 2,
    "hub": 2,
    "engines": 3,
    "identity": 3,
    "telemetry": 3,
    "node": 4,
    "protocols": 5,
    "transports": 5,
    "admin": 5,
    "app": 6,
    "demo": 6,
    "dialects": 6,
    "cli": 7,
}
TOP = 8
"""The rank of the `__init__` and the `__main__` of `portward`: above all packages."""
VERSION = "portward.version"
APART = {"client", "testing"}
"""Packages without a rank: `client` imports `model` alone, `testing` anything."""

PURE = {"model", "wire", "security", "hub"}
EFFECTS = {
    "asyncio", "http.client", "http.server", "httpx", "io", "logging", "multiprocessing", "os",
    "pathlib", "queue", "random", "secrets", "select", "selectors", "shutil", "signal", "socket",
    "sqlite3", "ssl", "structlog", "subprocess", "sys", "tempfile", "threading", "time",
    "urllib.request", "uvloop",
}  # fmt: skip
"""Modules that do I/O, wait, or read a clock; the packages in `PURE` get such values as arguments."""

CONCRETE = (
    "portward.engines.memory",
    "portward.engines.sqlite",
    "portward.engines.redis",
    "portward.identity",
    "portward.transports",
    "portward.app",
)
"""What the node gets as a port and must not import."""

MIRRORED = {"Portward", "History"}
"""A client and its blocking form; a page of history as rooms and as the publisher give it."""
BOTH_SIDES: set[str] = {
    "Disconnected",
    "Event",
    "Joined",
    "Left",
    "NodeInfo",
    "Presence",
    "Published",
    "Room",
    "RoomRecord",
    "Rooms",
    "ShuttingDown",
    "UserJoined",
    "UserLeft",
}
"""Class names that the client shares with the server: each means the same thing on both sides of the wire."""

GRANTS = "portward.model.grants"

MAX_LINES = 500
AIM_LINES = 300
LONGER = {
    "app/gateway.py": "one public class: the library's whole face, most of it docstrings",
    "client/publisher/calls.py": "one short function for each method of the admin API",
    "protocols/rooms/messages.py": "the messages of one protocol: one short struct each",
    "client/reconnect.py": "one loop over connections, with everything that begins and ends one",
    "testing/stores_contract.py": "one short test for each sentence about the stores",
    "engines/port.py": "four ports, and hardly a line that is not their contract",
    "hub/hub.py": "the fan-out loop and the one structure it walks",
    "node/channels/subscriptions.py": "coming and going undo each other and are read together",
    "node/node.py": "ties the parts of the node together; holds no rules of its own",
    "node/commands/server_api.py": "one short method for each thing a backend may ask",
    "node/sessions/session.py": "the life of one connection, all its deadlines in one place",
    "testing/rooms_contract.py": "a suite: one test for each sentence about rooms",
    "transports/http_acceptor.py": "one protocol class that leaves by three ways",
    "transports/engineio/polling.py": "one carrier: the session's side and the client's act on one state",
    "transports/websocket.py": "one connection, in and out",
}
"""Files longer than what is aimed for, each with its reason."""


def modules() -> list[str]:
    """The names of all modules of the package."""
    names = []
    for path in sorted((SOURCE / PACKAGE).rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    assert names
    return names


MODULES = modules()


def file_of(module: str) -> Path:
    """The file a module is read from."""
    base = SOURCE.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


@cache
def tree(module: str) -> ast.Module:
    """The syntax of a module."""
    return ast.parse(file_of(module).read_text(), str(file_of(module)))


def room(module: str) -> str:
    """The package of a module: its first folder; for a module beside the packages its own name."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def rank(module: str) -> int:
    """The rank of a module's package; everyone may import the version, and nobody `portward` itself."""
    if module == VERSION:
        return -1
    return RANKS.get(room(module), TOP)


@cache
def imports(module: str) -> frozenset[str]:
    """Every module that a module imports, inside functions and under TYPE_CHECKING too."""
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports relatively"
            found.update(_from(node))
    return frozenset(found)


def _from(node: ast.ImportFrom) -> Iterator[str]:
    base = node.module or ""
    for alias in node.names:
        whole = f"{base}.{alias.name}"
        yield whole if whole in MODULES else base


def ours(module: str) -> list[str]:
    """The modules of the package that a module imports."""
    return sorted(name for name in imports(module) if name.split(".")[0] == PACKAGE)


def breach(importer: str, imported: str) -> bool:
    """Whether an import goes against the ranks."""
    source, target = room(importer), room(imported)
    if source == target or imported == VERSION or source == "testing":
        return False
    if source == "client":
        return target != "model"
    if target in APART:
        return rank(importer) < RANKS["cli"] or target == "testing"
    return rank(imported) >= rank(importer)


FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def public(module: str) -> Iterator[tuple[str, ast.AST]]:
    """The public classes and functions of a module, and the public methods of those classes."""
    yield module, tree(module)
    yield from _public(module, tree(module))


def _public(prefix: str, node: ast.Module | ast.ClassDef) -> Iterator[tuple[str, ast.AST]]:
    for inner in node.body:
        if isinstance(inner, ast.ClassDef) and not inner.name.startswith("_"):
            yield f"{prefix}.{inner.name}", inner
            yield from _public(f"{prefix}.{inner.name}", inner)
        elif isinstance(inner, FUNCTIONS) and not inner.name.startswith("_"):
            yield f"{prefix}.{inner.name}", inner


def test_every_room_has_a_rank() -> None:
    """Every package is in `RANKS` or in `APART`, and no other module lies outside a package."""
    rooms = {room(module) for module in MODULES} - {"", "__main__", "publisher", "version"}
    assert rooms - RANKS.keys() - APART == set()


def test_imports_follow_the_ranks() -> None:
    """A module imports only from packages of a lower rank, or from its own."""
    found = [(module, name) for module in MODULES for name in ours(module) if breach(module, name)]
    assert found == []


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        ("portward.model.x", "portward.security.x"),
        ("portward.hub.x", "portward.engines.x"),
        ("portward.node.x", "portward.protocols.x"),
        ("portward.engines.x", "portward.telemetry.x"),
        ("portward.node.x", "portward.transports.x"),
        ("portward.admin.x", "portward.transports.x"),
        ("portward.client.x", "portward.wire.x"),
        ("portward.node.x", "portward.client.x"),
        ("portward.app.x", "portward.testing.x"),
    ],
)
def test_ranks_can_be_broken(importer: str, imported: str) -> None:
    """An import from the same or a higher rank, or from a package without a rank, counts as a breach."""
    assert breach(importer, imported)


def packages_of(module: str) -> set[str]:
    """The packages that a module lies in."""
    parts = module.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts))}


@cache
def loaded(module: str) -> frozenset[str]:
    """The modules that importing a module runs: an `__init__` is a module too.

    A module needs the `__init__` of every package in whose modules it looks, except of those it lies in
    itself: they are being loaded already. It needs those as well where it imports a name from one of them.
    """
    own = packages_of(module)
    found: set[str] = set()
    for node in ast.walk(tree(module)):
        names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
        if isinstance(node, ast.ImportFrom):
            names = {*_from(node), node.module or ""}
        for name in names:
            found |= {name} | (packages_of(name) - own)
    return frozenset(found & set(MODULES) - {module})


def test_no_cycles() -> None:
    """No module imports itself by way of others, typing imports and packages included."""
    graph = {module: set(loaded(module)) for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))


@pytest.mark.parametrize("module", [each for each in MODULES if room(each) == "app"])
def test_a_module_asks_its_own_package_for_nothing(module: str) -> None:
    """A package may import its modules, so they do not import it."""
    assert packages_of(module) & loaded(module) == set()


NODE = f"{PACKAGE}.node."
FOLDERS = {each.parent.name for each in (SOURCE / PACKAGE / "node").glob("*/__init__.py")}
"""The folders of the node."""


def folder(module: str) -> str:
    """The folder of the node that a module lies in; empty for one beside the folders."""
    name = module.removeprefix(NODE).partition(".")[0]
    return name if module.startswith(NODE) and name in FOLDERS else ""


@pytest.mark.parametrize("module", [each for each in MODULES if room(each) != "testing"])
def test_a_folder_of_the_node_is_reached_by_what_it_names(module: str) -> None:
    """A module outside a folder of the node imports what the folder's `__init__` names, and nothing else."""
    other = {name for name in ours(module) if folder(name) not in {"", folder(module)}}
    assert {name for name in other if name != f"{NODE}{folder(name)}"} == set()


def test_folders_of_the_node_form_no_cycle() -> None:
    """The folders of the node are in an order: each uses only folders below it."""
    graph = {
        own: {folder(name) for module in MODULES if folder(module) == own for name in ours(module)}
        - {"", own}
        for own in FOLDERS
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        pytest.fail(" -> ".join(cycle.args[1]))


def test_model_stands_on_the_standard_library_and_msgspec() -> None:
    """The model imports nothing but the standard library, msgspec and itself."""
    found = {
        (module, name)
        for module in MODULES
        if room(module) == "model"
        for name in imports(module)
        if name.split(".")[0] not in {*sys.stdlib_module_names, "msgspec"} and room(name) != "model"
    }
    assert found == set()


def test_pure_rooms_touch_nothing() -> None:
    """Packages that decide and translate import nothing that waits, reads a clock, or does I/O."""
    found = [
        (module, name)
        for module in MODULES
        if room(module) in PURE
        for name in imports(module)
        if name in EFFECTS or name.split(".")[0] in EFFECTS
    ]
    assert found == []


def test_hub_never_awaits() -> None:
    """The hub has no coroutine: what it does is done when it returns."""
    waits = (ast.Await, ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith)
    found = [
        (module, node.lineno)
        for module in MODULES
        if room(module) == "hub"
        for node in ast.walk(tree(module))
        if isinstance(node, waits)
    ]
    assert found == []


def test_node_names_nothing_concrete() -> None:
    """The node imports the port of the engines, and none of them; and no transport."""
    found = [
        (module, name)
        for module in MODULES
        if room(module) == "node"
        for name in ours(module)
        if name.startswith(CONCRETE)
    ]
    assert found == []


CORE = {"model", "wire", "security", "hub", "node"}
PROTOCOL_WORDS = re.compile(
    r"socket_?io|relay|alert|upstream|tunnel|conversation|dialect|approval|takeover|echo",
    re.IGNORECASE,
)
"""What a name of the core has in it when it belongs to one protocol. Rooms and workspaces are not here:
records of rooms and memberships of workspaces are facts that the core judges rights by."""
KNOWN_TO_THE_CORE = {
    "portward.model.alert": "the older place of public names, for one release",
    "portward.model.approval": "a shared fact",
    "portward.model.disconnects": "a row of the table of close codes, which is a wire name",
    "portward.node.stores": "shared facts are stored together, those of one protocol too",
    "portward.node.stores.approvals": "the same",
}
"""Modules of the core that may have such names, each with its reason."""


def identifiers(module: str) -> Iterator[str]:
    """Every name that the code of a module uses or defines, and the texts of its slots."""
    for node in ast.walk(tree(module)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield name
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                yield name
            case ast.AsyncFunctionDef(name=name) | ast.alias(name=name):
                yield name
            case ast.keyword(arg=str(name)):
                yield name
            case ast.Assign(targets=[ast.Name(id="__slots__")], value=value):
                yield from ast.literal_eval(value)


@pytest.mark.parametrize(
    "module", [each for each in MODULES if room(each) in CORE and each not in KNOWN_TO_THE_CORE]
)
def test_the_core_knows_no_protocol(module: str) -> None:
    """The node, and what it stands on, imports no protocol and has no name that belongs to one."""
    assert [name for name in ours(module) if room(name) == "protocols"] == []
    assert [name for name in identifiers(module) if PROTOCOL_WORDS.search(name)] == []


def test_exceptions_of_the_core_are_needed() -> None:
    """Every module that may have such names has one, or is the older place of one."""
    for module in KNOWN_TO_THE_CORE.keys() - {"portward.model.alert"}:
        assert any(PROTOCOL_WORDS.search(name) for name in identifiers(module)), module


def taken_from_grants(*names: str) -> set[str]:
    """The modules that import one of these names, or the whole module, where grants are made."""
    wanted = {f"{GRANTS}.{name}" for name in names} | {GRANTS}
    return {
        module
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if wanted & {alias.name, f"{getattr(node, 'module', None)}.{alias.name}"}
    }


def test_grants_are_minted_in_one_place() -> None:
    """Nobody but the policy can make a grant, under whatever name it is imported."""
    assert taken_from_grants("mint", "_MINT", "*") == {"portward.security.policy"}


def test_grants_are_constructed_in_one_place() -> None:
    """Nobody calls the class, which refuses it, and nobody but the mint goes around its constructor."""
    calls = [
        (module, node)
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
    ]
    assert not [module for module, call in calls if getattr(call.func, "id", None) == "Grant"]
    around = {
        module
        for module, call in calls
        if getattr(call.func, "attr", None) == "__new__" and "Grant" in ast.unparse(call)
    }
    assert around == {GRANTS}


def test_public_names_exist() -> None:
    """Every name in `__all__` is there, once, and is not private."""
    private = re.compile(r"_[^_]")
    listed = {
        module: ast.literal_eval(node.value)
        for module in MODULES
        for node in tree(module).body
        if isinstance(node, ast.Assign)
        and any(getattr(target, "id", None) == "__all__" for target in node.targets)
    }
    assert listed
    for module, names in listed.items():
        loaded = importlib.import_module(module)
        wrong = [name for name in names if not hasattr(loaded, name) or private.match(name)]
        assert (module, wrong) == (module, [])
        assert (module, len(set(names))) == (module, len(names))


def test_everything_public_is_described() -> None:
    """Every public module, class, function and method has a docstring."""
    bare = []
    for name, node in (each for module in MODULES for each in public(module)):
        documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        assert isinstance(node, documented)
        overload = any(
            getattr(each, "id", "") == "overload" for each in getattr(node, "decorator_list", [])
        )
        if not overload and not ast.get_docstring(node):
            bare.append(name)
    assert bare == []


def test_files_stay_small() -> None:
    """No file is longer than 500 lines, and one longer than 300 has a reason."""
    lengths = {
        str(path.relative_to(SOURCE / PACKAGE)): len(path.read_text().splitlines())
        for path in map(file_of, MODULES)
    }
    assert {name: length for name, length in lengths.items() if length > MAX_LINES} == {}
    long = {name: length for name, length in lengths.items() if length > AIM_LINES}
    assert {name: length for name, length in long.items() if name not in LONGER} == {}


def test_reasons_are_not_left_behind() -> None:
    """Every reason for a long file belongs to a file that is there, and long."""
    lengths = {name: _length(SOURCE / PACKAGE / name) for name in LONGER}
    assert {name: length for name, length in lengths.items() if length <= AIM_LINES} == {}


def _length(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.is_file() else 0


def classes(part: str) -> list[tuple[str, str]]:
    """The public classes of the server, or those of the client: name and module."""
    return [
        (node.name, module)
        for module in MODULES
        if module.startswith(f"{PACKAGE}.client") is (part == "client")
        for node in ast.walk(tree(module))
        if isinstance(node, ast.ClassDef)
    ]


@pytest.mark.parametrize("part", ["server", "client"])
def test_a_class_name_exists_once(part: str) -> None:
    """Two classes of the server, or two of the client, never have one name."""
    found: dict[str, list[str]] = {}
    for name, module in classes(part):
        found.setdefault(name, []).append(module)
    doubled = {name: homes for name, homes in found.items() if len(homes) > 1}
    assert {name: homes for name, homes in doubled.items() if name not in MIRRORED} == {}


def test_names_on_both_sides_are_listed() -> None:
    """The client shares a class name with the server only where both mean the same thing."""
    server = {name for name, _ in classes("server")}
    assert {name for name, _ in classes("client")} & server == BOTH_SIDES
