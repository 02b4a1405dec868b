"""How deep the code of a module reaches into its children, read from its source.

One execution of a module with control flow shows one way through it. Where a part of it is
rewritten, every other way must leave the inside of the part alone as well: `self.block(x)` does,
`self.block[0](x)` does not.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

UNKNOWN = 1_000_000
"""The depth of what cannot be told: deeper than any part."""

_LOOKS_INSIDE = {
    "_modules",
    "children",
    "get_submodule",
    "modules",
    "named_children",
    "named_modules",
}
_LOOPS_OVER = {"enumerate", "list", "reversed", "tuple", "zip"}
_ASKS = {"hasattr", "isinstance", "len", "range"}


def reach(module: nn.Module) -> dict[str, int]:
    """For each child how many steps down from `module` its methods may go by that child.

    Calling a child is one step; calling an element of it, or its attribute, is two. UNKNOWN
    where a child is handed on, or where the source cannot be read.
    """
    depths = dict.fromkeys(module._modules, 1)
    for function in _functions(type(module)):
        if function is None:
            return dict.fromkeys(depths, UNKNOWN)
        for name, depth in _uses(function, module):
            for child in [name] if name else list(depths):
                depths[child] = max(depths[child], depth)
    return depths


def _functions(kind: type) -> Iterator[ast.FunctionDef | None]:
    """The methods of a class and its bases but torch's own; None where there is no source."""
    for base in kind.__mro__:
        if base.__module__.split(".")[0] in ("torch", "builtins", "typing", "abc"):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(base)))
        except (OSError, TypeError, SyntaxError):
            yield None
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name != "__init__":
                yield node


@dataclass(frozen=True)
class _Scope:
    """A method being read: the node above each, and the names bound to what is `depth` steps
    down by a child."""

    module: nn.Module
    parents: dict[ast.AST, ast.AST]
    names: dict[str, tuple[str, int]]


def _uses(function: ast.FunctionDef, module: nn.Module) -> Iterator[tuple[str, int]]:
    """Each use of a child with its depth; an empty name stands for any child."""
    parents = {child: node for node in ast.walk(function) for child in ast.iter_child_nodes(node)}
    scope = _Scope(module, parents, {})
    for _ in range(3):  # a name may be bound to what another was bound to before
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                yield from _use(node, scope)


def _use(node: ast.Name, scope: _Scope) -> Iterator[tuple[str, int]]:
    above = scope.parents[node]
    if node.id in scope.names:
        child, depth = scope.names[node.id]
        yield child, _follow(node, child, depth, scope)
    elif node.id == "self" and isinstance(above, ast.Attribute):
        if above.attr in scope.module._modules:
            yield above.attr, _follow(above, above.attr, 1, scope)
        elif above.attr in _LOOKS_INSIDE:
            yield "", UNKNOWN
    elif node.id == "self" and not _is_looked_up(above, scope):
        yield "", UNKNOWN


def _is_looked_up(above: ast.AST, scope: _Scope) -> bool:
    """`getattr(self, name)(...)` calls a child; `super(Kind, self)` and `hasattr` call none."""
    if not isinstance(above, ast.Call) or not isinstance(above.func, ast.Name):
        return False
    outer = scope.parents.get(above)
    called = isinstance(outer, ast.Call) and outer.func is above
    return above.func.id in (*_ASKS, "super") or (above.func.id == "getattr" and called)


def _follow(node: ast.expr, child: str, depth: int, scope: _Scope) -> int:
    """How deep an expression for something `depth` steps down is taken by what is around it."""
    above = scope.parents[node]
    found = UNKNOWN
    if isinstance(above, ast.Call):
        found = _follow_call(above, node, child, depth, scope)
    elif isinstance(above, ast.Attribute):
        found = _follow_attribute(above, child, depth, scope)
    elif isinstance(above, ast.Subscript) and above.value is node:
        found = _follow(above, child, depth + 1, scope)
    elif isinstance(above, (ast.For, ast.comprehension)) and above.iter is node:
        found = _bind(_element(above.target, node), child, depth + 1, scope)
    elif isinstance(above, ast.Assign) and len(above.targets) == 1:
        found = _bind(above.targets[0], child, depth, scope)
    elif isinstance(above, (ast.Compare, ast.If, ast.UnaryOp)):
        found = depth
    return found


def _element(target: ast.expr, iterated: ast.expr) -> ast.expr:
    """What a loop binds an element to: of enumerate the second of two."""
    function = iterated.func if isinstance(iterated, ast.Call) else None
    numbered = isinstance(function, ast.Name) and function.id == "enumerate"
    return target.elts[-1] if numbered and isinstance(target, ast.Tuple) else target


def _follow_call(call: ast.Call, node: ast.expr, child: str, depth: int, scope: _Scope) -> int:
    if call.func is node:
        return depth
    name = call.func.id if isinstance(call.func, ast.Name) else ""
    if name in _LOOPS_OVER:
        return _follow(call, child, depth, scope)
    return depth if name in _ASKS else UNKNOWN


def _follow_attribute(above: ast.Attribute, child: str, depth: int, scope: _Scope) -> int:
    """A method may go a step further, an attribute that is a module does, a number does not."""
    outer = scope.parents[above]
    if above.attr in _LOOKS_INSIDE:
        return UNKNOWN
    if isinstance(outer, ast.Call) and outer.func is above:
        return depth + 1
    target = scope.module._modules[child]
    if depth == 1 and target is not None and above.attr not in target._modules:
        return depth
    return _follow(above, child, depth + 1, scope)


def _bind(target: ast.expr, child: str, depth: int, scope: _Scope) -> int:
    """Note the names a value is bound to; its own uses are followed from there."""
    for each in ast.walk(target):
        if isinstance(each, ast.Name):
            before = scope.names.get(each.id, ("", 0))[1]
            scope.names[each.id] = (child, max(depth, before))
    return depth
