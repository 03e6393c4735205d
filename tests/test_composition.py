"""How the parts of a gateway are put together: no cycles, few parameters, nothing set later.

Objects of one connection (sessions, transports) are no parts: they come and go while the parts stay.
"""

import ast
import functools
import types
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Final

import pytest

from portward.app.gateway import Gateway
from portward.node.cluster import BusEventHandler
from tests.running_gateway import settings
from tests.test_architecture import FUNCTIONS, MODULES, PACKAGE, room, tree

MOST_PARAMETERS: Final = 6
MORE: Final = {
    "portward.client.portward.Portward": "public: each option is a keyword of the user's",
    "portward.client.rooms_client.RoomsClient": "public, and goes with the next release",
    "portward.model.errors.CommandError": "a value: an error with what is known about it",
}
"""Constructors with more parameters, each with its reason."""
ROOT_CALLBACKS: Final = {BusEventHandler}
"""The receiver of the engine's events. The engine gets it at its start and drops it at its stop: an engine
that pushes events, and that the node asks, refers to the node as the node refers to it."""
COMPOSED: Final = {"node", "app", "hub", "protocols", "admin"}
"""Rooms whose objects are put together at the start."""


def constructors() -> Iterator[tuple[str, int]]:
    """Every written constructor, with the number of its parameters.

    The constructors of dataclasses and of msgspec's structs, which only hold values, are not written.
    """
    for module in MODULES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.ClassDef):
                for inner in node.body:
                    if isinstance(inner, FUNCTIONS) and inner.name == "__init__":
                        given = inner.args
                        every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
                        yield f"{module}.{node.name}", len(every) - 1


def test_constructors_take_few_parameters() -> None:
    """No constructor takes more than six parameters; what many parts need is one value."""
    many = {name: count for name, count in constructors() if count > MOST_PARAMETERS}
    assert many.keys() == MORE.keys()


def is_ours(thing: object) -> bool:
    """Whether an object is of a class of the package."""
    return type(thing).__module__.partition(".")[0] == PACKAGE


def attributes(thing: object) -> Iterator[object]:
    """The values of an object's attributes, with and without slots."""
    yield from getattr(thing, "__dict__", {}).values()
    for each in type(thing).__mro__:
        slots = each.__dict__.get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot != "__weakref__":
                yield getattr(thing, slot, None)


def referred(thing: object) -> Iterator[object]:
    """What one object refers to: attributes, members, bound objects, arguments and closures."""
    match thing:
        case types.MethodType():
            yield thing.__self__
        case types.FunctionType():
            for cell in thing.__closure__ or ():
                try:
                    yield cell.cell_contents
                except ValueError:  # not filled
                    continue
            yield from thing.__defaults__ or ()
            yield from (thing.__kwdefaults__ or {}).values()
        case functools.partial():
            yield thing.func
            yield from thing.args
            yield from thing.keywords.values()
        case dict() | types.MappingProxyType():
            yield from thing.keys()
            yield from thing.values()
        case list() | tuple() | set() | frozenset():
            yield from thing
            if is_ours(thing):
                yield from attributes(thing)
        case _ if is_ours(thing):
            yield from attributes(thing)


def parts_of(thing: object) -> list[object]:
    """The nearest objects of the package that an object of it refers to."""
    seen: dict[int, object] = {}
    found: list[object] = []
    stack = list(referred(thing))
    while stack:
        each = stack.pop()
        if id(each) in seen or isinstance(each, type | types.ModuleType):
            continue
        seen[id(each)] = each
        if is_ours(each):
            found.append(each)
        else:
            stack.extend(referred(each))
    return found


def object_graph(root: object) -> dict[int, tuple[object, set[int]]]:
    """The objects of the package that can be reached from one, each with those it refers to."""
    known: dict[int, tuple[object, set[int]]] = {}
    stack = [root]
    while stack:
        thing = stack.pop()
        if id(thing) in known:
            continue
        below = [each for each in parts_of(thing) if type(each) is not type(thing)]
        kept = [each for each in below if type(each) not in ROOT_CALLBACKS]
        known[id(thing)] = thing, {id(each) for each in kept}
        stack.extend(below)
    return known


def cycle_of(graph: dict[int, tuple[object, set[int]]]) -> str:
    """The classes on one cycle of references; empty when there is none."""
    try:
        TopologicalSorter({key: below for key, (_, below) in graph.items()}).prepare()
    except CycleError as error:
        return " -> ".join(type(graph[key][0]).__name__ for key in error.args[1])
    return ""


async def test_no_part_refers_to_itself_by_way_of_others() -> None:
    """The objects of a running gateway, found by attributes, closures and partials, form no cycle."""
    async with Gateway(settings()) as gateway:
        graph = object_graph(gateway)
        names = {type(thing).__name__ for thing, _ in graph.values()}
        assert {"Node", "HandshakeService", "Dispatcher", "Hub", "MemoryEngine"} <= names
        assert cycle_of(graph) == ""


class _Left:
    def __init__(self) -> None:
        self.right: object = None


class _Right:
    __slots__ = ("left",)

    def __init__(self, left: object) -> None:
        self.left = left


@pytest.mark.parametrize(
    "made",
    [
        lambda right: right,
        lambda right: lambda: right,
        lambda right: functools.partial(print, right),
        lambda right: {"a": [right]},
    ],
)
def test_a_cycle_is_found_wherever_it_hides(
    made: "types.FunctionType", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reference in an attribute, a closure, a partial or a container closes a cycle."""
    monkeypatch.setattr(_Left, "__module__", PACKAGE)
    monkeypatch.setattr(_Right, "__module__", PACKAGE)
    left = _Left()
    right = _Right(left)
    assert cycle_of(object_graph(right)) == ""
    left.right = made(right)
    assert set(cycle_of(object_graph(left)).split(" -> ")) == {"_Left", "_Right"}


STATE: Final = {
    "session": "the state of one connection",
    "_session": "the state of one connection",
    "subscription": "the state of one subscription",
    "prepared": "one subscription in preparation",
    "fault": "one error of a command, which gets the command that it is about",
    "limited": "one error of a command",
    "refused": "one rejection",
    "known": "one refused credential",
    "sleeper": "an object on the timer wheel, which has its slot",
    "state": "the subscribers of one channel",
    "group": "the subscribers of one channel with one encoder",
    "window": "one cooldown",
    "forgotten": "one cooldown",
    "held": "the cooldowns of one subscriber",
    "listener": "the cooldowns of one subscriber",
    "joining": "one subscriber that is joining",
    "handshake": "one subscriber that is joining",
    "endpoint": "an endpoint, which counts its connections",
    "connection": "the Socket.IO state of one connection",
    "closing": "the close of one connection",
    "post": "one post of the webhook",
    "protocol": "the protocol state of one connection",
}
"""Names of records that other code may change, each with what it holds."""


def receivers(module: str) -> Iterator[str]:
    """The objects, other than `self`, into whose attributes a module assigns."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            holder = node.value
            name = holder.id if isinstance(holder, ast.Name) else getattr(holder, "attr", "?")
            if not (isinstance(holder, ast.Name) and name in {"self", "cls"}):
                yield name


@pytest.mark.parametrize("module", [each for each in MODULES if room(each) in COMPOSED])
def test_nothing_is_assigned_into_a_part(module: str) -> None:
    """A part gets in its constructor what it needs: other code changes only records of one thing."""
    assert set(receivers(module)) - STATE.keys() - OF_LIBRARIES.get(module, set()) == set()


OF_LIBRARIES: Final = {
    "portward.admin.app": {"router"},
    "portward.admin.server": {"server"},
    "portward.app.server": {"context"},
    "portward.app": {"module"},
}
"""Objects of other libraries that are set up by assignment."""

COMPOSITION: Final = [
    f"{PACKAGE}.{each}"
    for each in (
        "app.build",
        "app.build_endpoints",
        "app.gateway",
        "app.runtime",
        "app.server",
        "node.node",
        "node.protocol_service",
        "node.sessions.context",
    )
]
"""Where parts are put together."""


def deferred(function: ast.AST) -> Iterator[str]:
    """What lambdas and partials in a function read that the function assigns only after them."""
    stored: dict[str, int] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            stored[ast.unparse(node)] = max(node.lineno, stored.get(ast.unparse(node), 0))
    for node in ast.walk(function):
        made = isinstance(node, ast.Call) and ast.unparse(node.func).endswith("partial")
        if isinstance(node, ast.Call | ast.Lambda) and (made or isinstance(node, ast.Lambda)):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Name | ast.Attribute):
                    name = ast.unparse(inner)
                    if stored.get(name, 0) > node.lineno:
                        yield name


@pytest.mark.parametrize("module", COMPOSITION)
def test_no_callable_stands_in_for_a_later_object(module: str) -> None:
    """Where parts are put together, no lambda and no partial reads what is assigned after it."""
    functions = [
        each for each in ast.walk(tree(module)) if isinstance(each, (ast.ClassDef, *FUNCTIONS))
    ]
    assert [name for each in functions for name in deferred(each)] == []


def test_a_later_object_is_found() -> None:
    """A lambda that reads an attribute set below it is found, one that reads an earlier one is not."""
    late = ast.parse("def f(self):\n    self.a = g(lambda: self.b)\n    self.b = 1")
    early = ast.parse("def f(self):\n    self.b = 1\n    self.a = g(lambda: self.b)")
    assert list(deferred(late.body[0])) == ["self.b"]
    assert list(deferred(early.body[0])) == []
