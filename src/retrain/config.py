"""Every default of every stage stands here, once; the command line derives its options from it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Fit = Literal["squash", "crop", "pad"]
Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
FineTune = Literal["auto", "always", "never"]
Augment = Literal["none", "light", "standard", "strong"]
Prefer = Literal["accurate", "fast", "small"]
Balance = Literal["auto", "always", "never"]
GuessPrecision = Literal["auto", "float32", "int8"]
ExportFormat = Literal["onnx", "openvino", "web", "hf", "card"]
ExplainMethod = Literal[  # the first is the default
    "gradcam", "gradcam++", "layercam", "scorecam", "saliency", "guided", "guided-gradcam"
]


@dataclass(frozen=True)
class PictureConfig:
    """How pictures become pixels.

    size: the width and height of the network's input in pixels; None for the backbone's own.
    fit: how a picture becomes a square.
    """

    size: int | None = None
    fit: Fit = "squash"


@dataclass(frozen=True)
class SplitConfig:
    """Which pictures are kept together, and how many are held back.

    group_by: a regular expression on relative paths; pictures for which it finds the same text
        stay together. None to keep only identical pictures together.
    relate: whether pictures that belong together are looked for: copies, bursts, series.
    hold_out: the share of pictures that are for the test and never learned from, 0..1; None for a
        tenth of many pictures, and none of few.
    """

    group_by: str | None = None
    relate: bool = True
    hold_out: float | None = None


@dataclass(frozen=True)
class BackboneConfig:
    """The network and what it starts from.

    name: the name of a backbone, or "auto".
    weights: "imagenet", "none" for random weights, or the path of a weights file.
    compare: names of backbones whose heads are compared; the best takes the place of `name`. None
        for no comparison.
    prefer: which of them is the best.
    """

    name: str = "auto"
    weights: str = "imagenet"
    compare: tuple[str, ...] | None = None
    prefer: Prefer = "accurate"


@dataclass(frozen=True)
class HeadConfig:
    """The logistic regression on bottleneck features.

    strengths: candidates for the L2 penalty on weights of standardised features, strongest first.
    iterations: at most, for each penalty.
    folds: of cross-validation; the answers of heads that had not seen a picture choose the penalty,
        fit the temperature and say how good the head is.
    """

    strengths: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    iterations: int = 200
    folds: int = 5


@dataclass(frozen=True)
class AugmentConfig:
    """How training pictures are varied: a strength, and what is left out of it.

    strength: how much they are varied.
    crop: whether a view shows a random part of the picture.
    flip: whether left and right may be swapped.
    rotate: whether the picture may be turned.
    zoom: whether it may be enlarged or shrunk.
    warp: whether it may be shown from another angle.
    light: whether brightness and contrast vary.
    erase: whether a part may be covered.
    mix: whether two pictures may be blended.
    """

    strength: Augment = "light"
    crop: bool = True
    flip: bool = True
    rotate: bool = True
    zoom: bool = True
    warp: bool = True
    light: bool = True
    erase: bool = True
    mix: bool = True


@dataclass(frozen=True)
class FineTuneConfig:
    """The last layer groups, trained with augmentation from the head's solution.

    when: whether to fine-tune; "auto" leaves it out if the head makes no mistake on validation
        pictures and its loss there is below `nothing_to_gain`, since no measurement could then tell
        an improvement from noise.
    nothing_to_gain: the validation loss of a faultless head below which "auto" leaves it out.
    epochs: how often each picture is shown, at most; None for what the plan finds right.
    groups: the number of layer groups that are trained, counted from the end; None for as many as
        there is time for.
    learning_rates: the peaks of the first layer group and of the head, geometric in between.
    folds: how many folds judge it, each after a training that they are kept out of, at most; None
        for as many as it takes.
    find_rate: whether a sweep chooses the head's peak, and the others in proportion, where that
        takes little of the time budget.
    weight_decay: the share of a weight that each step takes away, times the learning rate.
    batch: the number of pictures in a training step; None for 32, or 16 of few pictures.
    smoothing: the share of each target that is spread over all categories.
    clip_norm: the norm to which gradients are clipped, over all variables together.
    """

    when: FineTune = "auto"
    nothing_to_gain: float = 0.02
    epochs: int | None = None
    groups: int | None = None
    folds: int | None = None
    learning_rates: tuple[float, float] = (1e-4, 1e-3)
    find_rate: bool = False
    weight_decay: float = 1e-2
    batch: int | None = None
    smoothing: float = 0.1
    clip_norm: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """All settings of a training.

    returned: whether pictures that came back from guesses are learned from, too.
    balance: whether rare categories count more.
    precision: the number format of fine-tuning.
    int8: whether to export an int8 model, too.
    reference: whether the bundle keeps features of some pictures, to tell strangers by.
    minutes: the time budget on a CPU; 0 for none.
    seed: the seed of everything that is random.
    labels_from: a regular expression whose group `category` tells categories by paths; None where
        folders or a table tell them.
    """

    pictures: PictureConfig = field(default_factory=PictureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    returned: bool = False
    balance: Balance = "never"
    precision: Precision = "auto"
    int8: bool = True
    reference: bool = True
    minutes: float = 30.0
    seed: int = 0
    labels_from: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class GuessConfig:
    """How guesses are made.

    precision: the number format; "auto" is int8 with second looks in float32 where the model offers
        that.
    threads: the number of threads; None for one per core.
    """

    precision: GuessPrecision = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class SortConfig:
    """How a folder is sorted.

    recursive: whether to go into sub-folders, too.
    link: whether to make hard links instead of copies, where the file system can.
    min_score: the score below which pictures are set aside in `unsure`, too; None for no limit.
    unsure: the folder for pictures that are set aside: those unlike anything that was learned from.
    keep_names: whether copies are named `<category>/<original name>` instead of
        `<category>-<score>.<ext>`.
    dry_run: whether to write only the results.
    sync: whether pictures that are gone from the source are removed from the results, and their
        copies from the folder unless they were edited.
    """

    recursive: bool = False
    link: bool = False
    min_score: float | None = None
    unsure: Path | None = None
    keep_names: bool = False
    dry_run: bool = False
    sync: bool = False


@dataclass(frozen=True)
class ServeConfig:
    """How a model is served.

    name: what clients call the model.
    precision: the number format of guesses, as in GuessConfig.
    workers: processes that answer side by side; each has the model in memory.
    max_body: MiB of a request, at most.
    max_pixels: megapixels of a picture as it is decoded, at most.
    max_requests: guessed at a time, the waiting ones included; more are refused.
    timeout: seconds for a request, from its first line to the end of its answer.
    hosts: names by which clients reach the server, beside localhost and numeric addresses.
    corrections: whether the page may add pictures to the workspace; None: where only this machine
        or who knows the token can reach it.
    log_requests: whether each request is a line of the log.
    """

    name: str = "model"
    precision: GuessPrecision = "auto"
    workers: int = 1
    max_body: int = 32
    max_pixels: int = 50
    max_requests: int = 256
    timeout: float = 30.0
    hosts: tuple[str, ...] = ()
    corrections: bool | None = None
    log_requests: bool = True
