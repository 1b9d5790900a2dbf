"""Measure what each rung of fine-tuning learns for its processor time.

    python bench/rungs.py WORK --data FOLDER [--sets NAME...] [--seeds N...] [--rungs RUNG...]
    python bench/rungs.py WORK --table

FOLDER holds superheroes/, pets3/, traffic_lights/, sign_digits/ and road_signs/ as they were
published; WORK keeps features, and runs.jsonl, from which a benchmark goes on that was stopped. A
seed deals pictures as in bench/recipes.py: 60 % to learn from, 10 % for the temperature, 30 % for
the test. The test of sign_digits has 80 more persons. road_signs has train/ and test/ together,
tracks kept apart, at most 2500 pictures.

A RUNG is GROUPS[:PASSES[:RATE]][,NAME=VALUE...], such as 3:26, 5:14:5e-4 or 3,smoothing=0: the last
layer groups of five, how often each picture is shown (as the planner wants it, if not said), the
head's peak learning rate, and settings of `FineTuneConfig` or "augment". "head" is the head alone.
Nothing is chosen: each rung is measured whether it beats the head or not. Seconds are of building,
compiling, steps and rounds together.

WORK/answers keeps logits and labels of a run, of the jury and of the test: the head's, the tuned
model's, on mirrored pictures, and of weights between both (WiSE-FT), for `bench/contest.py`.
"""

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np

from recipes import PERSONS, SETS, deal, read_set
from retrain.config import TrainConfig
from retrain.data.images import PixelRules, read_bytes
from retrain.data.records import Picture, Side
from retrain.metrics import log_loss, macro_f1, softmax
from retrain.model.backbones import backbone_named
from retrain.progress import Silent
from retrain.training.labelled import Labelled

ALL = (*SETS, "road_signs")
RUNGS = ("5:14", "3:26", "2:45")  # which cost about the same
MOST = 2500  # pictures of a set
MORE_PERSONS = 80  # of sign_digits, for the test
Line = dict[str, Any]


def pictures_of(name: str, data: Path) -> list[Picture]:
    """Return the pictures of a set; road signs by their tracks."""
    if name != "road_signs":
        return read_set(name, data, PERSONS + MORE_PERSONS)
    paths = sorted(p for side in ("train", "test") for p in (data / name / side).glob("*/*"))
    found = []
    for path in paths:
        digest = hashlib.sha256(read_bytes(path)).hexdigest()
        track = f"{path.parent.name}/{path.stem.rsplit('_', 1)[0]}" if "_" in path.stem else digest
        found.append(Picture(path, path.name, path.parent.name, digest, track))
    rng = np.random.default_rng(0)
    kept = sorted(rng.permutation(len(found))[:MOST])
    return [found[i] for i in kept]


def dealt(pictures: Sequence[Picture], name: str, seed: int) -> dict[Side, list[int]]:
    """Return the indices of each side's pictures."""
    if name != "sign_digits":
        return deal(pictures, seed)
    number = [int(picture.key.split()[1]) for picture in pictures]
    few = [i for i, person in enumerate(number) if person < PERSONS]
    sides = deal([pictures[i] for i in few], seed)
    more = [i for i, person in enumerate(number) if person >= PERSONS]
    found = {side: [few[i] for i in rows] for side, rows in sides.items()}
    return {**found, "test": [*found["test"], *more]}


class Draw:
    """A set, dealt by a seed, with the features of its pictures and a head."""

    def __init__(self, name: str, seed: int, data: Path, work: Path) -> None:
        import keras

        from retrain.features import bottlenecks
        from retrain.model.build import build_backbone
        from retrain.model.predict import Forward
        from retrain.model.weights import obtain
        from retrain.training.folds import assign_folds
        from retrain.training.head import fit_head
        from retrain.training.task import Task

        self.name, self.work, self.seed = name, work, seed
        backbone, rules = backbone_named("efficientnet_lite0"), PixelRules(224, "squash")
        pictures = pictures_of(name, data)
        categories = tuple(sorted({picture.category for picture in pictures}))
        labels = np.array([categories.index(picture.category) for picture in pictures])
        keras.utils.set_random_seed(seed)
        weights = obtain(backbone, "imagenet", lambda _: None)
        network = build_backbone(backbone, rules.size, weights)
        forward = Forward(network, constant=True)
        features = bottlenecks(pictures, network, forward, rules, work / "features", Silent())
        parts = {
            side: Labelled([pictures[i] for i in rows], features[rows], labels[rows])
            for side, rows in dealt(pictures, name, seed).items()
        }
        train, config = parts["train"], TrainConfig(seed=seed)
        groups = [picture.key for picture in train.pictures]
        folds = assign_folds(groups, train.labels, config.head.folds)
        self.task = Task(network, backbone, rules, parts, groups, folds, categories, config)
        self.head = fit_head(train, folds, groups, config.head, None, Silent())

    def head_alone(self) -> Line:
        """Return how good the head is."""
        logits = self.head.logits(self.task.parts["test"].features)
        return self._judged(logits, self.head.calibration.temperature)

    def tuned(self, rung: str) -> Line:
        """Fine-tune on a rung, and return how good that is and what it cost."""
        from retrain.model.predict import Forward, predict_logits
        from retrain.training.calibration import TUNED, likely_temperature
        from retrain.training.checkpoints import Checkpoints
        from retrain.training.fit import Course, fit
        from retrain.training.ladder import VIEWS
        from retrain.training.plan import PASSES, Plan, batch_size, wanted_steps
        from retrain.training.store import Stores
        from retrain.training.tuning import Tuning

        first, *settings = rung.split(",")
        told = first.split(":")
        groups = int(told[0])
        task = replace(self.task, config=changed(self.task.config, settings))
        rate = float(told[2]) if len(told) > 2 else task.config.fine_tune.learning_rates[1]
        tuning = Tuning.of(task, self.head, None, task.folds.numbers()[0])
        count = len(tuning.learned_from.labels)
        batch = batch_size(count, None)
        if len(told) > 1:
            steps = wanted_steps(count, batch, int(told[1]), at_least=1)
        else:
            steps = wanted_steps(count, batch, PASSES)
        views = VIEWS if groups < tuning.group_count() else 0
        plan = Plan(groups, views, batch, (rate / 10, rate), ((0, steps),))
        wall, cpu = time.monotonic(), time.process_time()
        stores = Stores(self.work, print)
        rig = tuning.rig(groups, views, batch, plan.learning_rates, stores)
        with tempfile.TemporaryDirectory() as folder:
            parts = (rig.learner, rig.sampler, rig.validation, Course(plan))
            fit(*parts, Checkpoints(Path(folder)), Silent(), log=Deaf())
        seconds = {"wall": time.monotonic() - wall, "cpu": time.process_time() - cpu}
        trained, rules, jury, test = rig.trained(), task.rules, tuning.judged_by, task.parts["test"]
        answers: dict[str, Any] = {"jury_labels": jury.labels, "test_labels": test.labels}
        for side, part in (("jury", jury), ("test", test)):
            paths = [picture.path for picture in part.pictures]
            for name, model in between(tuning.start, trained).items():
                answers[f"{side}_{name}"] = predict_logits(
                    Forward(model, constant=True), paths, rules
                )
            mirrored = Forward(flipped(trained), constant=True)
            answers[f"{side}_0"] = self.head.logits(part.features)
            answers[f"{side}_mirrored"] = predict_logits(mirrored, paths, rules)
        kept = self.work / "answers" / f"{self.name}-{self.seed}-{rung}.npz"
        kept.parent.mkdir(exist_ok=True)
        np.savez(kept, **answers)
        temperature = likely_temperature(answers["jury_1"], jury.labels, TUNED)
        found = self._judged(answers["test_1"], temperature)
        return {**found, **seconds, "steps": steps, "batch": batch}

    def _judged(self, logits: Any, temperature: float) -> Line:
        labels = self.task.parts["test"].labels
        scores = softmax(logits, temperature)
        return {
            "pictures": len(labels),
            "accuracy": float((logits.argmax(axis=1) == labels).mean()),
            "macro_f1": macro_f1(scores, labels),
            "log_loss": log_loss(scores, labels),
            "temperature": temperature,
        }


def changed(config: TrainConfig, settings: Sequence[str]) -> TrainConfig:
    """Return a configuration with some settings changed, each NAME=VALUE."""
    for name, value in (setting.split("=") for setting in settings):
        if name == "augment":
            told: dict[str, Any] = {"strength": value}
            config = replace(config, augment=replace(config.augment, **told))
        elif name == "rate":
            rates = (float(value) / 10, float(value))
            config = replace(config, fine_tune=replace(config.fine_tune, learning_rates=rates))
        else:
            told = {name: float(value)}
            config = replace(config, fine_tune=replace(config.fine_tune, **told))
    return config


def between(head: Any, tuned: Any) -> dict[str, Any]:
    """Return models by the share of the tuned weights in theirs: "1" and "0.75"."""
    import keras

    found = {"1": tuned}
    for share in (0.75,):
        found[str(share)] = keras.models.clone_model(tuned)
        pairs = zip(head.get_weights(), tuned.get_weights(), strict=True)
        found[str(share)].set_weights([(1 - share) * old + share * new for old, new in pairs])
    return found


def flipped(model: Any) -> Any:
    """Return a model that sees pictures mirrored."""
    import keras

    pixels = keras.Input(model.input_shape[1:], dtype="uint8")
    return keras.Model(pixels, model(pixels[:, :, ::-1]))


class Deaf:
    """A Log that keeps nothing."""

    def batch(self, *_: Any) -> None:
        """Hear of a step."""

    def epoch(self, *_: Any) -> None:
        """Hear of a round."""


def run(args: argparse.Namespace) -> None:
    """Run what is missing."""
    done = {(line["set"], line["seed"], line["rung"]) for line in finished(args.work)}
    for seed in args.seeds:
        for name in args.sets:
            wanted = [r for r in ("head", *args.rungs) if (name, seed, r) not in done]
            draw = Draw(name, seed, args.data, args.work) if wanted else None
            for rung in wanted:
                assert draw is not None
                found = draw.head_alone() if rung == "head" else draw.tuned(rung)
                line = {"set": name, "seed": seed, "rung": rung, **found}
                with (args.work / "runs.jsonl").open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(
                    f"{name}, seed {seed}, {rung}: macro-F1 {line['macro_f1']:.4f}, log loss "
                    f"{line['log_loss']:.4f}, {line.get('cpu', 0):.0f} CPU s",
                    flush=True,
                )


def finished(work: Path) -> list[Line]:
    """Return the lines of the runs so far."""
    results = work / "runs.jsonl"
    return (
        [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    )


def print_table(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print a Markdown table: a row a rung and set, mean and spread over seeds."""
    print("| set | rung | seeds | macro-F1 | log loss | CPU s |\n|---|---|---|---|---|---|")
    for name, rung in dict.fromkeys((line["set"], line["rung"]) for line in lines):
        some = [line for line in lines if (line["set"], line["rung"]) == (name, rung)]
        cells = [f"{mean(values):.3f} ± {np.std(values):.3f}" for values in columns(some)]
        seconds = f"{mean(line.get('cpu', 0.0) for line in some):.0f}"
        print(f"| {name} | {rung} | {len(some)} | {' | '.join(cells)} | {seconds} |")


def columns(some: Sequence[Mapping[str, Any]]) -> Iterator[list[float]]:
    """Yield what has a mean and a spread."""
    for measure in ("macro_f1", "log_loss"):
        yield [line[measure] for line in some]


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(ALL), choices=ALL)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--rungs", nargs="+", default=list(RUNGS))
    parser.add_argument("--table", action="store_true")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    if args.table:
        print_table(finished(args.work))
    else:
        run(args)


if __name__ == "__main__":
    main()
