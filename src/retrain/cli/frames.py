"""`retrain frames`: films become pictures, scene by scene."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click
from click.core import ParameterSource

from retrain.cli.command import Command
from retrain.cli.gathering import category_option
from retrain.cli.options import OUTPUT_FOLDER, PATH, json_option
from retrain.errors import InputsFailed, UsageError

READERS = ("auto", "ffmpeg", "pyav")


@click.command("frames", cls=Command)
@click.argument("tf_files", type=OUTPUT_FOLDER)
@click.argument("films", metavar="FILM...", type=PATH, nargs=-1, required=True)
@category_option
@click.option(
    "--every",
    type=click.FloatRange(0.2, 3600),
    default=2,
    show_default=True,
    metavar="SECONDS",
    help="Time from one frame to the next.",
)
@click.option("--scenes", is_flag=True, help="Take the sharpest frame of each scene instead.")
@click.option(
    "--max-size",
    type=click.IntRange(32, 8192),
    default=1280,
    show_default=True,
    metavar="PIXELS",
    help="Pixels of the longer side that a frame has at most.",
)
@click.option(
    "--reader",
    type=click.Choice(READERS),
    default="auto",
    show_default=True,
    help="What reads films; auto: ffmpeg where it is installed, else PyAV.",
)
@json_option
def command(
    tf_files: Path,
    films: tuple[Path, ...],
    category: str | None,
    every: float,
    scenes: bool,
    max_size: int,
    reader: str,
    as_json: bool,
) -> None:
    """Take frames out of films into TF_FILES/data/<category>/.

    FILM is a film, or a folder of films: each is of the category of its sub-folder there, or has a
    category of its own, named after it. Black frames and near-equal ones are left out. Frames are
    called film_nohash_000123.jpg, by tenths of a second, and frames of one scene stay together when
    pictures are split. A film that was interrupted is read again; what it had given stays.

    Example: retrain frames tf_files film.mp4 --category boat --scenes
    """
    from retrain.cli.console import Terminal
    from retrain.gather.films import Reader
    from retrain.gather.frames import HowToTakeFrames, take_frames
    from retrain.progress import counted

    given = click.get_current_context().get_parameter_source("every")
    if scenes and given is ParameterSource.COMMANDLINE:
        raise UsageError("--scenes and --every do not go together. Received: both.")
    assert reader in get_args(Reader)
    how = HowToTakeFrames(None if scenes else every, max_size, reader)  # type: ignore[arg-type]
    result = take_frames(tf_files, films, category, how, Terminal())
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        for film in result.films:
            left = f"{film.black} black and {film.alike} near-equal frames left out"
            click.echo(
                f"{film.kept:7d}  {film.category}, {Path(film.path).name}: "
                f"{counted(film.scenes, 'scene')}, {left}"
            )
        if result.before:
            click.echo(f"{counted(result.before, 'film')} done before")
    if broken := sum(bool(film.trouble) for film in result.films):
        raise InputsFailed(f"{counted(broken, 'film is', 'films are')} damaged or no film.")
