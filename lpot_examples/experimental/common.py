"""``lpot.experimental.common``: what users put into a `Quantization`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lpot_examples.lazy import lazy

if TYPE_CHECKING:
    from lpot_examples.data.batches import DataLoader

__all__ = ["DataLoader", "Metric", "Model", "Postprocess"]


class Model:
    """A network, opened when something is asked of it.

    Args:
        root: Path of a network, or an object, as `tune` takes it.
        kwargs: Accepted without effect; LPOT's estimators had arguments.
    """

    def __init__(self, root: Any, **kwargs: Any) -> None:
        del kwargs
        self.root: Any = root.root if isinstance(root, Model) else root

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("root", "_opened"):
            raise AttributeError(name)
        from lpot_examples.network import open_network
        from lpot_examples.spec import Spec

        if "_opened" not in self.__dict__:
            self._opened = open_network(self.root, Spec.default())
        return getattr(self._opened, name)


class Metric:
    """A metric's class and its arguments.

    Args:
        metric_cls: A class with ``update(preds, labels)``, ``reset()`` and ``result()``.
        name: What it is called.
        kwargs: Its arguments.
    """

    def __init__(self, metric_cls: Any, name: str = "user_metric", **kwargs: Any) -> None:
        self.metric_cls = metric_cls
        self.name = name
        self.kwargs = kwargs


class Postprocess:
    """A transform's class and its arguments.

    Args:
        postprocess_cls: A class whose instances take and return ``(outputs, labels)``.
        name: What it is called.
        kwargs: Its arguments.
    """

    def __init__(self, postprocess_cls: Any, name: str = "user_postprocess", **kwargs: Any) -> None:
        self.postprocess_cls = postprocess_cls
        self.name = name
        self.kwargs = kwargs


__getattr__, __dir__ = lazy(__name__, {"DataLoader": "lpot_examples.data.batches"})
