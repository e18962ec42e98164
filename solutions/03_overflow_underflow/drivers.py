"""How the checks of Unit 3 call your functions, and what they look at. Nothing here is secret."""

from collections.abc import Callable, Iterator

import torch

from halfbits.checking.spy import Spy


def softmax16(function: Callable, x: torch.Tensor, dim: int) -> dict:
    given = x.clone()
    with Spy() as seen:
        result = function(given, dim)
    means = _means(seen, "softmax", "log_softmax", "logsumexp", "tolist")
    touched = "untouched" if torch.equal(given, x) else "changed"
    gradient = _gradient(lambda leaf: function(leaf, dim), x)
    return {"probabilities": result, "how": f"{means}; input {touched}; gradient {gradient}"}


def cross_entropy16(function: Callable, logits: torch.Tensor, y: torch.Tensor) -> dict:
    with Spy() as seen:
        result = function(logits.clone(), y.clone())
    ready_made = ("softmax", "log_softmax", "logsumexp", "cross_entropy", "nll_loss")
    gradient = _gradient(lambda leaf: function(leaf, y.clone()), logits)
    return {"loss": result, "how": f"{_means(seen, *ready_made)}; gradient {gradient}"}


def safe_norm16(function: Callable, x: torch.Tensor) -> dict:
    with Spy() as seen:
        result = function(x.clone())
    ready_made = ("norm", "vector_norm", "linalg_vector_norm", "linalg_norm", "tolist")
    return {"norm": result, "how": _means(seen, *ready_made)}


def running_var(function: Callable, chunks: list[torch.Tensor], unbiased: bool) -> dict:
    def one_by_one() -> Iterator[torch.Tensor]:
        for chunk in chunks:
            yield chunk.clone()

    with Spy() as seen:
        result = function(one_by_one(), unbiased)
    used = seen.wider_than(torch.float32) + ["Python floats"] * bool(seen.to_python())
    used += seen.called("cat", "concat", "concatenate", "stack", "hstack")
    return {"variance": result, "how": "in " + ", ".join(["float32", *used])}


def mask_bias(function: Callable, mask: torch.Tensor, dtype: torch.dtype) -> dict:
    try:
        bias = function(mask.clone(), dtype)
    except RuntimeError as error:
        if isinstance(error, NotImplementedError):
            raise
        return {"weights of equal scores": f"raised RuntimeError: {error}"}
    allowed = bias[mask].abs()
    return {
        "weights of equal scores": torch.softmax(bias, -1),
        "largest bias where allowed": allowed.max().item() if allowed.numel() else 0.0,
    }


def _means(seen: Spy, *ready_made: str) -> str:
    """What an fp16 function was computed with: float16 alone, or what else was used."""
    used = seen.wider_than(torch.float16) + seen.called(*ready_made)
    return "in " + ", ".join(["float16", *used])


def _gradient(function: Callable, x: torch.Tensor) -> str:
    """Whether the gradient of a weighted sum of the function's result is finite."""
    leaf = x.clone().requires_grad_()
    try:
        result = function(leaf)
        weights = torch.linspace(-1, 2, max(result.numel(), 2))[: result.numel()]
        (result * weights.to(result.dtype).reshape(result.shape)).sum().backward()
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0].split(':')[0]}"
    return "finite" if leaf.grad.isfinite().all() else "not finite"
