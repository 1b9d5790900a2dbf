"""`retrain import`: folders, archives and tables come into the layout of a workspace."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from retrain.cli.command import Command
from retrain.cli.gathering import category_option, print_counts
from retrain.cli.options import OUTPUT_FOLDER, PATH, json_option
from retrain.errors import DataError, InputsFailed


@click.command("import", cls=Command)
@click.argument("tf_files", type=OUTPUT_FOLDER)
@click.argument("sources", metavar="SOURCE...", type=PATH, nargs=-1, required=True)
@category_option
@click.option(
    "--labels-from",
    metavar="REGEX",
    help="Regular expression on paths, whose group (?P<category>...) is the category, instead of "
    "folders; a group (?P<group>...) tells what stays together.",
)
@click.option("--path-column", metavar="NAME", help="Column of a table that has the paths.")
@click.option("--label-column", metavar="NAME", help="Column of a table that has the categories.")
@click.option(
    "--images",
    type=PATH,
    metavar="DIR",
    help="Folder in which the paths of a table begin; the table's own if not given.",
)
@click.option(
    "--max-size",
    type=click.IntRange(min=32),
    metavar="PIXELS",
    help="Shrink pictures whose longer side has more pixels.",
)
@click.option("--link", is_flag=True, help="Make hard links instead of copies, where possible.")
@click.option("--move", is_flag=True, help="Remove each file once it is imported.")
@click.option("--dry-run", is_flag=True, help="Say what would be imported, and write nothing.")
@json_option
def command(tf_files: Path, sources: tuple[Path, ...], as_json: bool, **settings: Any) -> None:
    r"""Bring pictures into TF_FILES/data/<category>/; no file is overwritten.

    SOURCE is a folder with a folder for each category, or with a ready-made split, or with a
    labels.csv; a ZIP or tar archive of such a folder; a CSV or TSV table; or a JSON file in COCO's
    layout or exported by Label Studio. With --category it may be any folder or picture.

    Example: retrain import tf_files holiday.zip --labels-from '(?P<category>[a-z]+)_\d+' --dry-run
    """
    from retrain.cli.console import Terminal
    from retrain.data.sources import LoosePictures
    from retrain.gather.importing import HowToImport, import_pictures
    from retrain.jobs.skipped import tell_skipped
    from retrain.progress import counted

    terminal, how = Terminal(), HowToImport(**settings)
    try:
        result = import_pictures(tf_files, sources, how, terminal)
    except LoosePictures as error:
        lacks = "none in a category folder" if error.empty else "no category folders"
        raise DataError(
            f"{error.folder} holds {counted(error.pictures, 'picture')} but {lacks}. If all are of "
            "one category, add --category NAME; if their names tell it, "
            rf"--labels-from '(?P<category>[a-z]+)_\d+'; else sort them into folders."
        ) from None
    tell_skipped(result.skipped, terminal)
    if as_json:
        click.echo(json.dumps(asdict(result), indent=2, ensure_ascii=False))
    else:
        print_counts(result.new, "would be imported" if how.dry_run else "imported")
        if result.before:
            click.echo(f"{result.before:7d}  imported before")
        if result.skipped:
            click.echo(f"{len(result.skipped):7d}  left out")
    if result.skipped and not how.dry_run:
        raise InputsFailed(f"{counted(len(result.skipped), 'file')} could not be imported.")
