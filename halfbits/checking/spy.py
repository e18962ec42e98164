"""See what PyTorch really ran: a spy on its functions and on the operations below them.

A check uses it where a task forbids a shortcut, such as computing in a wider dtype. It guards
against misunderstanding, not against forgery: whoever wants to can leave PyTorch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TO_PYTHON = ("item", "tolist", "numpy", "__float__", "__int__", "__array__")


class Spy:
    """Records what runs inside ``with Spy() as seen:``.

    Attributes
    ----------
    functions : set of str
        PyTorch functions and methods that were called: ``"softmax"``, ``"sum"``, ``"item"``.
    operations : set of str
        ATen operations that ran, by whatever name they were called: ``"_softmax"``, ``"add"``.
    dtypes : set of torch.dtype
        Of all tensors that went into an operation or came out of one.
    """

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.operations: set[str] = set()
        self.dtypes: set[torch.dtype] = set()
        self._modes = (_Functions(self), _Operations(self))

    def __enter__(self) -> Self:
        for mode in self._modes:
            mode.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for mode in reversed(self._modes):
            mode.__exit__(*error)

    def wider_than(self, dtype: torch.dtype) -> list[str]:
        """Names of the floating dtypes in use that have more bits than ``dtype``, sorted."""
        floats = {seen for seen in self.dtypes if seen.is_floating_point}
        return sorted(_name(seen) for seen in floats if seen.itemsize > dtype.itemsize)

    def called(self, *names: str) -> list[str]:
        """Which of these functions were called, in this order; outer underscores do not count."""
        used = {name.strip("_") for name in self.functions | self.operations}
        return [name for name in names if name in used]

    def to_python(self) -> list[str]:
        """How numbers left PyTorch, whose Python floats are fp64: ``["item"]``, sorted."""
        return sorted(self.functions & {*_TO_PYTHON})


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


class _Functions(TorchFunctionMode):
    def __init__(self, spy: Spy) -> None:
        super().__init__()
        self.spy = spy

    def __torch_function__(
        self, func: Callable, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        self.spy.functions.add(getattr(func, "__name__", str(func)))
        return func(*args, **(kwargs or {}))


class _Operations(TorchDispatchMode):
    def __init__(self, spy: Spy) -> None:
        super().__init__()
        self.spy = spy

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else the first use imports the compiler: 800 modules, 2 s

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self.spy.operations.add(func.overloadpacket.__name__)
        leaves = tree_leaves((args, kwargs, result))
        self.spy.dtypes |= {leaf.dtype for leaf in leaves if isinstance(leaf, torch.Tensor)}
        return result
