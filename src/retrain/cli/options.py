"""The options that several commands share."""

import difflib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import click

from retrain.config import GuessConfig, GuessPrecision, TrainConfig
from retrain.errors import UsageError

HIGHEST_RATE = 1.0

Command = Callable[..., Any]
PathRole = Literal["read", "workspace", "folder", "file"]


class PlacePath(click.Path):
    """A path, and what is done there; a container is shown that and no more.

    Attributes:
        role: "read"; "workspace", a folder that is there and is written to; "folder" or "file",
            what is written and made if it is missing.
    """

    def __init__(self, role: PathRole) -> None:
        super().__init__(path_type=Path, readable=False)  # the jobs look, and say what to do
        self.role = role


PATH, WORKSPACE = PlacePath("read"), PlacePath("workspace")
OUTPUT_FOLDER, OUTPUT_FILE = PlacePath("folder"), PlacePath("file")


class PathOrName(click.types.StringParamType):
    """A file to read, or a name of something."""

    role: PathRole = "read"


class Names(click.ParamType[tuple[str, ...]]):
    """Names with commas between them."""

    name = "NAME,NAME..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        """Return the names."""
        parts = value.split(",") if isinstance(value, str) else value
        names = tuple(part.strip() for part in parts if part.strip())
        if not names and value:
            self.fail(f"must be names with commas between them. Received: {value!r}.", param, ctx)
        return names


class CountOrAll(click.ParamType[int | None]):
    """A number of things from 1 on, or all of them, which is None."""

    name = "N|all"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | None:
        """Return the number."""
        if value == "all":
            return None
        try:
            count = int(value)
        except (TypeError, ValueError):
            count = 0
        if count < 1:
            self.fail(f"must be a number from 1 on, or all. Received: {value!r}.", param, ctx)
        return count


class LearningRates(click.ParamType[tuple[float, float]]):
    """RATE for all layers, or LOW:HIGH, rising from the first layers that are tuned to the head."""

    name = "RATE|LOW:HIGH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        """Return (lowest, highest)."""
        try:
            parts = value.split(":") if isinstance(value, str) else _several(value)
            rates = [float(part) for part in parts]
        except (TypeError, ValueError):
            rates = []
        if not 1 <= len(rates) <= 2 or not 0 < rates[0] <= rates[-1] <= HIGHEST_RATE:
            self.fail(
                f"must be one rate, or two rising ones such as 1e-4:1e-3, above 0 and at most "
                f"{HIGHEST_RATE:g}. Received: {value!r}.",
                param,
                ctx,
            )
        return rates[0], rates[-1]


def _several(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def setting(flag: str, place: str, text: str, kind: Any = None) -> Callable[[Command], Command]:
    """Return an option for one value of TrainConfig, whose default and kind stand there.

    Args:
        flag: the option's name, such as "--epochs".
        place: the name of the field, or "section__field".
        text: the help text.
        kind: the click type; not needed for choices and switches.
    """
    section, _, inner = place.partition("__")
    owner: Any = getattr(TrainConfig(), section) if inner else TrainConfig()
    default, hint = getattr(owner, inner or section), get_type_hints(type(owner))[inner or section]
    if isinstance(default, tuple):
        default = ":".join(f"{value:g}" for value in default)
    if get_origin(hint) is Literal:
        kind = click.Choice(get_args(hint))
    if hint is bool:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    return click.option(
        flag, place, type=kind, default=default, show_default=default is not None, help=text
    )


def train_config(options: Mapping[str, Any]) -> TrainConfig:
    """Return the defaults with the settings that a command received, by their places."""
    config = TrainConfig()
    for place, value in options.items():
        section, _, inner = place.partition("__")
        if inner:
            value = replace(getattr(config, section), **{inner: value})
        config = replace(config, **{section: value})
    return config


def keywords(command: click.Command) -> dict[str, click.Parameter]:
    """Return a command's options by the keywords that the Python API has for them.

    A keyword is the longest flag without its dashes: `--fine-tune` is `fine_tune`.
    """
    return {
        max(option.opts, key=len).lstrip("-").replace("-", "_"): option
        for option in command.params
        if isinstance(option, click.Option) and option.expose_value
    }


def train_config_of(command: click.Command, settings: Mapping[str, Any]) -> TrainConfig:
    """Return the defaults with settings by keyword, checked as the command checks its options.

    Args:
        command: that has the options.
        settings: values by keyword.

    Raises:
        TypeError: there is no such keyword.
        UsageError: a value is not allowed.
    """
    known = keywords(command)
    places = {}
    for name, value in settings.items():
        if name not in known or known[name].name is None:
            near = difflib.get_close_matches(name, known, 1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"There is no setting {name!r}.{hint}")
        try:
            places[str(known[name].name)] = known[name].type_cast_value(_NO_CONTEXT, value)
        except click.BadParameter as error:
            raise UsageError(f"The value of {name} is wrong: {error.message}") from error
    return train_config(places)


_NO_CONTEXT = click.Context(click.Command("api"))


def _together(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Return a decorator that adds options in the order of the arguments."""

    def add(command: Command) -> Command:
        return functools.reduce(lambda inner, option: option(inner), reversed(options), command)

    return add


labels_from_setting = setting(
    "--labels-from",
    "labels_from",
    "Regular expression on paths, whose group (?P<category>...) is the category, instead of "
    "folders; a group (?P<group>...) tells what stays together.",
    str,
)
group_by_setting = setting(
    "--group-by",
    "split__group_by",
    "Regular expression on paths; pictures for which it finds the same text stay together.",
    str,
)
hold_out_setting = setting(
    "--hold-out",
    "split__hold_out",
    "Share of the pictures that is kept for a test and never learned from; if not given, a "
    "tenth of 1000 pictures or more, and none of fewer.",
    click.FloatRange(0, 0.5),
)
picture_options = _together(
    setting(
        "--backbone", "backbone__name", "The network: auto, or one that `retrain weights` lists."
    ),
    setting(
        "--weights",
        "backbone__weights",
        "What training starts from: imagenet, none (random weights), or a weights file.",
        PathOrName(),
    ),
    setting(
        "--size",
        "pictures__size",
        "Width and height of the network's input in pixels; the backbone's own if not given.",
        int,
    ),
    setting(
        "--fit",
        "pictures__fit",
        "How a picture becomes a square: by squashing it, cropping its middle, or padding it.",
    ),
    labels_from_setting,
    group_by_setting,
    setting(
        "--relate",
        "split__relate",
        "Look for copies and series of pictures, and keep them together; see docs/trust.md.",
    ),
    hold_out_setting,
    setting("--seed", "seed", "Seed of everything that is random.", click.IntRange(min=0)),
)

augment_options = _together(
    setting("--augment", "augment__strength", "How much training pictures are varied."),
    setting("--crop", "augment__crop", "Show a random part of the picture."),
    setting("--flip", "augment__flip", "Mirror left and right at random; not for letters."),
    setting("--rotate", "augment__rotate", "Turn the picture a little."),
    setting("--zoom", "augment__zoom", "Enlarge or shrink the picture a little."),
    setting("--warp", "augment__warp", "Show the picture from a slightly different angle."),
    setting("--light", "augment__light", "Vary brightness and contrast."),
    setting("--erase", "augment__erase", "Cover a part of the picture; with strong only."),
    setting("--mix", "augment__mix", "Blend two pictures; with strong only."),
)

tuning_options = _together(
    setting(
        "--groups",
        "fine_tune__groups",
        "Number of layer groups to fine-tune, counted from the end; if not given, as many as there "
        "is time for.",
        click.IntRange(1, 5),
    ),
    setting(
        "--tune-folds",
        "fine_tune__folds",
        "Number of folds that judge fine-tuning, each after a training that it is kept out of, at "
        "most; if not given, as many as it takes to tell and as there is time for.",
        click.IntRange(1),
    ),
    setting(
        "--lr",
        "fine_tune__learning_rates",
        "Highest learning rate; LOW:HIGH for the first layers of the network and for the head.",
        LearningRates(),
    ),
    setting(
        "--batch",
        "fine_tune__batch",
        "Number of pictures in a training step; 32 if not given, or 16 of fewer than 300.",
        click.IntRange(min=1),
    ),
    setting("--precision", "precision", "Number format of fine-tuning; auto chooses by the GPU."),
    setting(
        "--balance",
        "balance",
        "Whether rare categories count more; auto: if sizes differ by more than 3 to 1.",
    ),
)


data_options = _together(
    click.option(
        "--data", type=PATH, help="Folder of labelled pictures to use, laid out like TF_FILES/data."
    ),
    click.option(
        "--side",
        type=click.Choice(("validation", "test")),
        help="Which pictures that the training held back to use.",
    ),
)


def output_option(name: str) -> Callable[[Command], Command]:
    """Return `--output` for a picture that is `name` in the workspace by default."""
    return click.option(
        "--output", type=OUTPUT_FILE, help=f"PNG file to write; TF_FILES/{name} if not given."
    )


def json_option(command: Command) -> Command:
    """Add `--json`, which the command receives as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")(
        command
    )


def gpus_option(command: Command) -> Command:
    """Add `--gpus`."""
    return click.option(
        "--gpus",
        type=CountOrAll(),
        default="all",
        show_default=True,
        help="Number of this machine's GPUs that share each step of fine-tuning.",
    )(command)


def cluster_option(command: Command) -> Command:
    """Add `--cluster`."""
    return click.option(
        "--cluster",
        metavar="ADDRESS|local",
        help="Work on a Ray cluster, by the HOST:PORT of its head, or on one of this machine; see "
        "docs/cluster.md.",
    )(command)


def precision_option(command: Command) -> Command:
    """Add `--precision` of guesses."""
    return click.option(
        "--precision",
        type=click.Choice(get_args(GuessPrecision)),
        default=GuessConfig.precision,
        show_default=True,
        help="Number format; auto: int8, and float32 where that is unsure, if the model has both.",
    )(command)
