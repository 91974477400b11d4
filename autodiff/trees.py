"""Pytrees, by optree. A traced array, an ndarray and a number are leaves; None is an empty tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .core import PYTHON_DTYPES
from .handles import TracedArray
from .loading import uninterrupted

_LEAVES = {TracedArray, np.ndarray, np.float64, np.float32, *PYTHON_DTYPES}
_NAMESPACE = "xnp"


def flatten(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any] | None]:
    """The leaves, and the function that rebuilds the tree from leaves (None for a single leaf:
    the usual case, which costs no call of optree).
    """
    if type(tree) in _LEAVES:
        return [tree], None
    optree = _optree()
    leaves, treedef = optree.tree_flatten(tree, namespace=_NAMESPACE)
    return leaves, lambda leaves: optree.tree_unflatten(treedef, leaves)


def rebuild(unflatten: Callable[[list[Any]], Any] | None, leaves: list[Any]) -> Any:
    return leaves[0] if unflatten is None else unflatten(leaves)


def paths(tree: Any, name: str) -> list[str]:
    """How to write each leaf: ``params['w'][0]``."""
    if type(tree) in _LEAVES:
        return [name]
    optree = _optree()
    accessors = optree.tree_accessors(tree, namespace=_NAMESPACE)
    return [accessor.codify(name) for accessor in accessors]


def structure(tree: Any) -> Any:
    """What two trees must share to be combined leaf by leaf."""
    return _optree().tree_structure(tree, namespace=_NAMESPACE)


def match(tree: Any, other: Any) -> bool:
    """Whether they have the same structure."""
    if type(tree) in _LEAVES and type(other) in _LEAVES:
        return True
    return structure(tree) == structure(other)


def map_leaves(function: Callable[..., Any], tree: Any) -> Any:
    if type(tree) in _LEAVES:
        return function(tree)
    return _optree().tree_map(function, tree, namespace=_NAMESPACE)


@uninterrupted
def _optree() -> Any:
    import optree  # on first use: it costs a third of importing numpy

    return optree


def flatten_with_none(tree: Any) -> tuple[list[Any], Callable[[list[Any]], Any] | None]:
    """`flatten` in which None is a leaf."""
    if type(tree) in _LEAVES or tree is None:
        return [tree], None
    optree = _optree()
    leaves, treedef = optree.tree_flatten(tree, namespace=_NAMESPACE, none_is_leaf=True)
    return leaves, lambda leaves: optree.tree_unflatten(treedef, leaves)


def broadcast_prefix(prefix: Any, tree: Any) -> list[Any]:
    """A leaf of ``prefix`` (None is one) for every leaf of ``tree``; ValueError if it is none."""
    return _optree().broadcast_prefix(prefix, tree, none_is_leaf=True, namespace=_NAMESPACE)


def one_level(node: Any) -> tuple[list[Any], Callable[[list[Any]], Any]] | None:
    """The children of a node that is no list, tuple or dict, and the function that rebuilds it;
    None for a leaf.
    """
    optree = _optree()
    if optree.tree_is_leaf(node, namespace=_NAMESPACE, none_is_leaf=True):
        return None
    children, treedef = optree.tree_flatten(
        node, is_leaf=lambda x: x is not node, namespace=_NAMESPACE, none_is_leaf=True
    )
    return children, treedef.unflatten


def node_parts(node: Any) -> tuple[list[Any], Any] | None:
    """The children of such a node, and what else it consists of."""
    optree = _optree()
    if optree.tree_is_leaf(node, namespace=_NAMESPACE, none_is_leaf=True):
        return None
    handler = optree.register_pytree_node.get(type(node), namespace=_NAMESPACE)
    if handler is not None and handler.kind is optree.PyTreeKind.CUSTOM:
        children, metadata, *_ = handler.flatten_func(node)
        return list(children), metadata
    found = one_level(node)
    assert found is not None
    if isinstance(node, dict):
        return found[0], (tuple(node), getattr(node, "default_factory", None))
    return found[0], getattr(node, "maxlen", None)
