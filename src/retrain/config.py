"""Every default of every stage stands here, once; the command line derives its options from it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Fit = Literal["squash", "crop", "pad"]
Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
FineTune = Literal["auto", "always", "never"]
Augment = Literal["none", "light", "standard", "strong"]
Balance = Literal["auto", "always", "never"]
BestBy = Literal["loss", "macro-f1"]
GuessPrecision = Literal["auto", "float32", "int8"]
ExplainMethod = Literal[  # the first is the default
    "gradcam", "gradcam++", "layercam", "scorecam", "saliency", "guided", "guided-gradcam"
]


@dataclass(frozen=True)
class PictureConfig:
    """How pictures become pixels. `size` None: the backbone's own."""

    size: int | None = None
    fit: Fit = "squash"


@dataclass(frozen=True)
class SplitConfig:
    """Which pictures are kept together, as a regular expression on their relative paths."""

    group_by: str | None = None


@dataclass(frozen=True)
class BackboneConfig:
    """`weights`: "imagenet", "none", or the path of a weights file."""

    name: str = "auto"
    weights: str = "imagenet"


@dataclass(frozen=True)
class HeadConfig:
    """The logistic regression on bottleneck features.

    strengths: candidates for the L2 penalty on weights of standardised features, strongest first.
    enough_to_judge: pictures for validation that choose among them, and fit the temperature;
        with fewer, cross-fitted training pictures do, in so many folds.
    """

    strengths: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003, 0.0001)
    iterations: int = 200
    enough_to_judge: int = 300
    folds: int = 5


@dataclass(frozen=True)
class AugmentConfig:
    """How training pictures are varied: a strength, and what is left out of it.

    crop: a random part. flip: left and right. rotate, zoom, warp: turned, nearer or farther, seen
    from aside. light: brightness and contrast. erase: a part covered. mix: two pictures blended.
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

    when: "auto" leaves it out if the head makes no mistake on validation data and its loss there
        is below `nothing_to_gain`: no measurement could then tell an improvement from noise.
    learning_rates: peaks of the first free layer group and of the head; geometric in between.
    find_rate: let a sweep choose the head's peak, the others in proportion, where that costs
        little of the time budget.
    weight_decay: of weights, times their learning rate, each step.
    patience: epochs without a better validation score. One cycle often looks bad before its end,
        so by default none is cut short.
    best_by: the validation score that chooses the epoch.
    smoothing: share of each target that is spread over all categories.
    """

    when: FineTune = "auto"
    nothing_to_gain: float = 0.02
    epochs: int = 8
    groups: int = 5
    learning_rates: tuple[float, float] = (1e-4, 1e-3)
    find_rate: bool = False
    weight_decay: float = 1e-2
    batch: int = 32
    patience: int = 8
    best_by: BestBy = "loss"
    smoothing: float = 0.1
    clip_norm: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """All of a training. minutes: budget on a CPU, 0 for none. int8: export that, too."""

    pictures: PictureConfig = field(default_factory=PictureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    balance: Balance = "never"
    precision: Precision = "auto"
    int8: bool = True
    minutes: float = 30.0
    seed: int = 0

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as nested dicts, ready for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class GuessConfig:
    """How guesses are made.

    precision: "auto" is int8 with second looks in float32 where the bundle offers that.
    threads: None for one a core.
    """

    precision: GuessPrecision = "auto"
    threads: int | None = None


@dataclass(frozen=True)
class SortConfig:
    """How a folder is sorted.

    recursive: go into sub-folders too. link: hard links, not copies, where the file system can.
    min_score: pictures whose best score is lower go to the folder `unsure`.
    keep_names: copies are `<category>/<original name>`, not `<category>-<score>.<ext>`.
    dry_run: write the results only. sync: what is gone from the source goes from the results, and
        its copy from the folder unless it was edited.
    """

    recursive: bool = False
    link: bool = False
    min_score: float | None = None
    unsure: Path | None = None
    keep_names: bool = False
    dry_run: bool = False
    sync: bool = False
