"""Which engine makes the guesses."""

from retrain.bundle import Bundle
from retrain.config import GuessPrecision
from retrain.errors import BundleError
from retrain.infer.cascade import Cascade, Quantised, read_head
from retrain.infer.engine import Engine
from retrain.infer.litert import LiteRT


def open_engine(bundle: Bundle, precision: GuessPrecision, threads: int) -> Engine:
    """Return the engine for a bundle: the cascade where it is offered, else float32.

    Args:
        bundle: a trained model.
        precision: "auto", or "float32" or "int8" alone.
        threads: that share one inference.

    Raises:
        BundleError: a file of the bundle cannot be read, or holds no int8 model.
    """
    cascade = bundle.manifest.cascade
    if precision == "int8" and cascade is None:
        raise BundleError(
            f"{bundle.files.folder} holds no int8 model (it was trained with --no-int8, or by an "
            "earlier version). Leave out --precision int8, or train again."
        )

    def exact() -> Engine:
        return LiteRT(bundle.files.litert, threads)

    if precision == "float32" or cascade is None:
        return exact()
    if precision == "auto" and not cascade["offered"]:
        return exact()
    quantised = Quantised(bundle.files.int8, *read_head(bundle.files.int8_head), threads)
    return Cascade(quantised, 0.0 if precision == "int8" else cascade["threshold"], exact)
