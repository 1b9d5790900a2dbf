"""Features of the default backbone, computed by TensorFlow, which only the functions load."""

from collections.abc import Sequence

from retrain.data.feature_cache import Features
from retrain.data.images import PixelRules, Pixels
from retrain.data.records import Picture
from retrain.model.backbones import Backbone
from retrain.model.weights import choose
from retrain.progress import Reporter
from retrain.workspace import Workspace


def default_rules() -> PixelRules:
    """Return how the default backbone wants pictures."""
    return PixelRules(_default().size, "squash")


def compute(
    pictures: Sequence[Picture], workspace: Workspace, report: Reporter
) -> tuple[Features, "Forward"]:
    """Return the features of pictures, float32 [n, d], and what tells those of other pixels.

    They go to the cache that a training reads.

    Raises:
        DataError, MachineError, WeightsError: as for `bottlenecks`.
    """
    from retrain.features import bottlenecks

    forward = open_default_forward(report)
    folder, rules = workspace.bottlenecks, default_rules()
    values = bottlenecks(pictures, forward.network, forward.run, rules, folder, report)
    return values, forward


class Forward:
    """The default backbone, called with pixels uint8 [m, size, size, 3]."""

    def __init__(self, report: Reporter) -> None:
        from retrain.model import build, predict
        from retrain.model.weights import obtain

        backbone = _default()
        weights = obtain(backbone, "imagenet", report.say)
        self.network = build.build_backbone(backbone, backbone.size, weights)
        self.run = predict.Forward(self.network, constant=True)

    def __call__(self, pixels: Pixels) -> Features:
        """Return features float32 [m, d]."""
        return self.run(pixels)


def open_default_forward(report: Reporter) -> Forward:
    """Build the default backbone with its ImageNet weights, which come with the project."""
    return Forward(report)


def _default() -> Backbone:
    """Return what a training without a GPU chooses."""
    return choose("auto", "imagenet", gpu=False)[0]
