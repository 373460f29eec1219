"""Put the bodies of called functions in the place of their calls.

    x ─► PartitionedCall(f) ─► y          x ─► call/Conv2D ─► call/Relu ─► y
                                    ══►
    f: arg ─► Conv2D ─► Relu ─► ret

Ops that a SavedModel keeps in functions become ordinary ops, which can be quantized. Also an If or
Case whose predicate is constant becomes the branch it takes. Calls in bodies are inlined in turn.
Everything keeps running as before: where a body has effects (Assert, Print, …), they wait for what
the call waited for, and the call's results wait for them.

TensorFlow's own inliner is not used: it leaves calls alone that make a graph output, and invents
names; here the output keeps its name and the ops are found under the name of their call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from lpot_examples.backends.tensorflow.control_flow import conditional_nodes
from lpot_examples.backends.tensorflow.definitions import definition
from lpot_examples.backends.tensorflow.effects import Effects, called_functions
from lpot_examples.backends.tensorflow.graphdef import Graph, split_name, tensor_name
from lpot_examples.backends.tensorflow.runtime import import_tensorflow

_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall"})
_IFS = frozenset({"If", "StatelessIf"})
_CASES = frozenset({"Case", "StatelessCase"})
_TF1 = frozenset({"Switch", "Enter"})


@dataclass(frozen=True)
class Match:
    """A call and the function it calls.

    Attributes:
        node: The calling node.
        function: The ``FunctionDef``.
        attrs: Values of the function's attributes.
        arguments: What the call passes, as input references.
    """

    node: Any
    function: Any
    attrs: Mapping[str, Any]
    arguments: tuple[str, ...]


def run(graph: Graph, untouchable: Set[str], declined: dict[str, str]) -> int:
    """Inline every call; return how many.

    Args:
        graph: Changed in place.
        untouchable: Names of nodes that must stay, because a loop or conditional surrounds them.
        declined: Gets the reason for each call that stays, by node name.
    """
    if not graph.functions:
        return 0
    count = 0
    callers: dict[str, frozenset[str]] = {}
    pending = list(graph)
    while pending:
        node = pending.pop()
        match = check(graph, node, callers=callers.get(node.name, frozenset()))
        if match is not None and node.name in untouchable:
            match = "inside a TF1 loop or conditional, or fed, a call stays a call"
        if isinstance(match, str):
            declined[node.name] = match
        elif match is not None:
            stack = callers.get(node.name, frozenset()) | {match.function.signature.name}
            made = rewrite(graph, match)
            if any(graph.nodes[name].op in _TF1 for name in made):
                untouchable = conditional_nodes(graph).keys() | set(graph.inputs)
            callers.update((name, stack) for name in made)
            pending.extend(graph.nodes[name] for name in made)
            count += 1
    graph.remove_unreachable()
    graph.keep_functions(_reachable(graph))
    return count


def check(graph: Graph, node: Any, *, callers: Set[str] = frozenset()) -> Match | str | None:
    """Match a call of a function in the library.

    Args:
        graph: The graph.
        node: Any node.
        callers: The functions that the node itself was inlined from.
    """
    called = _called(graph, node)
    if called is None:
        return None
    name, values = called
    if name not in graph.functions:
        return f"the library has no function '{name}'"
    if name in callers:
        return f"the function '{name}' calls itself"
    signature = graph.functions[name].signature
    arguments = tuple(tensor_name(*source) for source in graph.data_inputs(node))
    arguments = arguments[1:] if node.op in _IFS | _CASES else arguments
    parameters = [*signature.input_arg, *signature.output_arg]
    if any(item.number_attr or item.type_list_attr for item in parameters):
        return f"the function '{name}' takes or gives lists of tensors"
    if len(arguments) != len(signature.input_arg):
        return f"the function '{name}' takes {len(signature.input_arg)} tensors"
    if not signature.output_arg and node.name in graph.output_nodes:
        return f"the function '{name}' makes no tensor"
    attrs = {item.name: item.default_value for item in signature.attr}
    return Match(node, graph.functions[name], {**attrs, **values}, arguments)


def rewrite(graph: Graph, match: Match) -> list[str]:
    """Insert the body and let readers of the call read it; return the inserted nodes' names."""
    call, function = match.node, match.function
    effects = Effects(graph.functions)
    active = [node.name for node in function.node_def if effects.of(node)]
    names = {node.name: graph.free_name(f"{call.name}/{node.name}") for node in function.node_def}
    resolve = _Resolver(graph, match, names)
    ready = _ready(graph, match) if active else []
    for body_node in function.node_def:
        node = type(body_node)()
        node.CopyFrom(body_node)
        node.name = names[body_node.name]
        node.ClearField("experimental_debug_info")
        _fill_placeholders(node.attr, match.attrs)
        del node.input[:]
        node.input.extend(resolve(source) for source in body_node.input)
        node.input.extend(ready if body_node.name in active else ())
        graph.adopt(node)
    after = [f"^{names[name]}" for name in dict.fromkeys([*active, *_waited_for(function, names)])]
    done = [f"^{_add_no_op(graph, f'{call.name}/done', after)}"] if active else []
    results = [resolve(function.ret[item.name]) for item in function.signature.output_arg]
    _replace(graph, match, results, done)
    return list(names.values())


def _called(graph: Graph, node: Any) -> tuple[str, Mapping[str, Any]] | None:
    """Return the function that a node certainly calls, and the attributes it passes."""
    if node.op in _CALLS:
        return node.attr["f"].func.name, node.attr["f"].func.attr
    if node.op in graph.functions:
        return node.op, node.attr
    if node.op in _IFS:
        value = _constant(graph, node.input[0])
        if value is None or value.ndim or value.dtype.kind not in "biuf":
            return None
        branch = node.attr["then_branch" if value else "else_branch"].func
        return branch.name, branch.attr
    if node.op in _CASES:
        value = _constant(graph, node.input[0])
        if value is None or value.ndim:
            return None
        branches = node.attr["branches"].list.func
        branch = branches[int(value) if 0 <= value < len(branches) else -1]
        return branch.name, branch.attr
    return None


def _constant(graph: Graph, source: str) -> Any:
    """Return a constant's value, also through Identity nodes."""
    name, _ = split_name(source)
    while graph.nodes[name].op == "Identity" and name not in graph.inputs:
        source = graph.nodes[name].input[0]
        name, _ = split_name(source)
    return graph.constant(source)


class _Resolver:
    """Translates references inside a body (``arg``, ``node:output:index``, ``^node``)."""

    def __init__(self, graph: Graph, match: Match, names: Mapping[str, str]) -> None:
        self._graph, self._match, self._names = graph, match, names
        signature = match.function.signature
        self._arguments = {
            item.name: source
            for item, source in zip(signature.input_arg, match.arguments, strict=True)
        }
        self._body = {node.name: node for node in match.function.node_def}

    def __call__(self, source: str) -> str:
        if source.startswith("^"):
            name = source[1:]
            if name in self._arguments:
                return f"^{split_name(self._arguments[name])[0]}"
            return f"^{self._names[name]}"
        name, _, place = source.partition(":")
        if name in self._arguments:
            return self._arguments[name]
        return tensor_name(self._names[name], self._port(self._body[name], place))

    def _port(self, node: Any, place: str) -> int:
        output, _, index = place.partition(":")
        if output.isdigit() or not output:  # old files give the port itself
            return int(output or 0)
        port = int(index or 0)
        found = definition(self._graph, node.op)
        for item in found.output_arg if found is not None else ():
            if item.name == output:
                return port
            port += self._count(node, item)
        raise KeyError(f"{node.op} has no output {output}")

    def _count(self, node: Any, item: Any) -> int:
        if item.type_list_attr:
            attr = self._value(node.attr[item.type_list_attr])
            return len(attr.list.type)
        return int(self._value(node.attr[item.number_attr]).i) if item.number_attr else 1

    def _value(self, attr: Any) -> Any:
        return self._match.attrs[attr.placeholder] if attr.placeholder else attr


def _fill_placeholders(attrs: Any, values: Mapping[str, Any]) -> None:
    for attr in attrs.values():
        if attr.placeholder:
            attr.CopyFrom(values[attr.placeholder])
        functions = [attr.func] if attr.HasField("func") else list(attr.list.func)
        for function in functions:
            _fill_placeholders(function.attr, values)


def _ready(graph: Graph, match: Match) -> list[str]:
    """Return control inputs for what must not run before the call would have."""
    waits = [source for source in match.node.input if source.startswith("^")]
    waits += [f"^{split_name(source)[0]}" for source in match.arguments]
    if not waits:
        return []
    return [f"^{_add_no_op(graph, f'{match.node.name}/ready', list(dict.fromkeys(waits)))}"]


def _add_no_op(graph: Graph, name: str, inputs: list[str]) -> str:
    return graph.add("NoOp", graph.free_name(name), inputs)


def _waited_for(function: Any, names: Mapping[str, str]) -> list[str]:
    return [name for name in function.control_ret.values() if name in names]


def _replace(graph: Graph, match: Match, results: list[str], done: list[str]) -> None:
    """Let all readers of the call read its results instead, and keep its name if it is an output.

    Args:
        graph: Changed in place.
        match: The call.
        results: A tensor for each output of the call.
        done: A control input on the effects of the body, if it has any.
    """
    call = match.node.name
    items = zip(results, match.function.signature.output_arg, strict=True)
    types = [_type(item, match.attrs) for _, item in items]
    if done:
        results = [
            graph.add("Identity", graph.free_name(f"{call}/result"), [result, *done], T=dtype)
            for result, dtype in zip(results, types, strict=True)
        ]
    output = call in graph.output_nodes
    if not results:
        graph.redirect(call, done[0][1:] if done else _add_no_op(graph, f"{call}/done", []))
    for port, result in enumerate(results):
        graph.redirect(tensor_name(call, port), result)
    if not output:
        return
    if len(results) == 1:
        graph.add("Identity", call, results, T=types[0])
    else:
        graph.add("IdentityN", call, results, T=types)


def _type(item: Any, attrs: Mapping[str, Any]) -> Any:
    return import_tensorflow().as_dtype(item.type or attrs[item.type_attr].type)


def _reachable(graph: Graph) -> set[str]:
    """Return the functions that nodes still call, directly or through others."""
    found: set[str] = set()
    stack = [name for node in graph for name in _references(node)]
    while stack:
        name = stack.pop()
        if name in graph.functions and name not in found:
            found.add(name)
            stack.extend(
                other for node in graph.functions[name].node_def for other in _references(node)
            )
    return found


def _references(node: Any) -> Iterator[str]:
    yield node.op
    yield from called_functions(node)
