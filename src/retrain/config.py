"""Every default of every stage stands here, once; the command line derives its options from it."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

Fit = Literal["squash", "crop", "pad"]
Precision = Literal["auto", "float32", "mixed_float16", "mixed_bfloat16"]
FineTune = Literal["auto", "always", "never"]
GuessPrecision = Literal["auto", "float32", "int8"]


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

    strengths: candidates for the L2 penalty on weights of standardised features, strongest
        first; validation loss chooses.
    """

    strengths: tuple[float, ...] = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    iterations: int = 200


@dataclass(frozen=True)
class FineTuneConfig:
    """The last layer groups, trained with augmentation from the head's solution.

    when: "auto" leaves it out if the head makes no mistake on validation data and its loss there
        is below `nothing_to_gain`: no measurement could then tell an improvement from noise.
    patience: epochs without a better validation loss.
    crop_area: smallest share of a picture that a random crop keeps.
    """

    when: FineTune = "auto"
    nothing_to_gain: float = 0.02
    epochs: int = 6
    groups: int = 2
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2
    batch: int = 32
    patience: int = 2
    crop_area: float = 0.5
    flip: bool = True
    clip_norm: float = 1.0


@dataclass(frozen=True)
class TrainConfig:
    """All of a training. minutes: budget on a CPU, 0 for none. int8: export that, too."""

    pictures: PictureConfig = field(default_factory=PictureConfig)
    split: SplitConfig = field(default_factory=SplitConfig)
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    fine_tune: FineTuneConfig = field(default_factory=FineTuneConfig)
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
    """

    recursive: bool = False
    link: bool = False
    min_score: float | None = None
    unsure: Path | None = None
