"""Turn a folder of pictures into an image classifier.

    import retrain

    run = retrain.train("tf_files")
    model = retrain.load("tf_files")
    print(model.guess("photo.jpg").best)

`train` and `load` are all that is offered, with the exceptions in `retrain.errors`; what else lies
in this package may change. Nothing is imported before it is used, so that a guess never loads
TensorFlow.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retrain import errors
    from retrain.api import load, train

__all__ = ["errors", "load", "train"]


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("retrain.errors")
    if name in __all__:
        return getattr(importlib.import_module("retrain.api"), name)
    raise AttributeError(f"module 'retrain' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
