"""Time a step of fine-tuning, part by part, against Keras' own; docs/benchmarks.md has the outcome.

    python bench/step.py [--only WORD...] [--rounds 7] [--backbone efficientnet_lite0]

All rows are timed in one run, in turn, round after round; the table shows medians over the rounds,
in milliseconds a picture: on the clock, and of CPU time, which other work on the machine changes
less. Each row is timed with oneDNN on and off. `--only` takes the rows whose name holds a word.

Pictures are random pixels that are in memory already: decoding and augmenting are not in it. The
weights are ImageNet's, with a new head of ten categories; all layers train, BatchNorm is frozen.

model.fit      the same network under Keras' compile and train_on_batch, which is a step of its
               `fit`: AdamW, no schedule, one rate.
today          the step of fine-tuning, `make_step`: a rate a layer, clipping, smoothing.
folded         the same for the twin whose BatchNorm is folded into the kernels.
depthwise      folded, with the cheaper gradients of depthwise convolutions. So are all that follow.
fixed filters  the depthwise filters do not train.
towers         the batch in two halves, one a thread: intra-op threads 1, inter-op threads 2.
N px           at another input size.
above LAYER    only what is above a cut, from float16 activations.
below LAYER    the forward pass below that cut, BatchNorm folded by TensorFlow; once a view.
bfloat16       under the policy mixed_bfloat16.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import IO, Any

import numpy as np

CATEGORIES = 10
STEPS = 2  # timed at once
WARM = 3  # steps before the first that is timed
SIZES = (192, 160)
THREADS = 2

Run = Callable[[], object]


class Rows:
    """The rows of the table, each made when it is first asked for."""

    def __init__(self, backbone: str, batch: int) -> None:
        from retrain.model.backbones import backbone_named
        from retrain.model.weights import obtain

        self.backbone, self.batch = backbone_named(backbone), batch
        self.weights = obtain(self.backbone, "imagenet", lambda _: None)
        self.rng = np.random.default_rng(0)

    def make(self, row: str) -> Run:
        """Return what a row times."""
        from retrain.model.folded import fold_batch_norm

        kind, _, rest = row.partition(" ")
        if kind == "model.fit":
            return self._keras()
        if kind == "today":
            return self._today(self._classifier())
        if kind in ("folded", "depthwise"):
            return self._today(fold_batch_norm(self._classifier(), kind == "depthwise"))
        if kind == "fixed":
            return self._today(self._without_filters())
        if kind == "towers":
            twin = fold_batch_norm(self._classifier(), True)
            return self._step(twin, twin, self._pixels(), towers=2)
        if kind == "bfloat16":
            return self._today(fold_batch_norm(self._classifier(policy="mixed_bfloat16"), True))
        if kind in ("above", "below"):
            return self._cut(kind, rest)
        return self._today(fold_batch_norm(self._classifier(int(kind)), True))

    def _classifier(self, size: int | None = None, policy: str = "float32") -> Any:
        from retrain.model.build import add_head, build_backbone, copy_under, free_last_groups

        network = build_backbone(self.backbone, size or self.backbone.size, self.weights)
        kernel = self.rng.normal(0, 0.01, (network.output_shape[-1], CATEGORIES))
        model = add_head(network, kernel.astype(np.float32), np.zeros(CATEGORIES, np.float32))
        if policy != "float32":
            model = copy_under(policy, model, self.backbone, size or self.backbone.size)
        free_last_groups(model, self.backbone, len(self.backbone.group_ends) + 1)
        return model

    def _without_filters(self) -> Any:
        import keras

        from retrain.model.folded import fold_batch_norm

        model = self._classifier()
        for layer in model.layers:
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                layer.trainable = False
        return fold_batch_norm(model, True)

    def _pixels(self, size: int | None = None) -> Any:
        import tensorflow as tf

        shape = (self.batch, *[size or self.backbone.size] * 2, 3)
        return tf.constant(self.rng.integers(0, 256, shape, dtype=np.uint8))

    def _targets(self) -> Any:
        import tensorflow as tf

        return tf.one_hot(np.arange(self.batch) % CATEGORIES, CATEGORIES)

    def _optimizer(self, model: Any) -> Any:
        from retrain.config import FineTuneConfig
        from retrain.training.optim import make_optimizer

        config, every = FineTuneConfig(), len(self.backbone.group_ends) + 1
        return make_optimizer(config, config.learning_rates, model, self.backbone, every)

    def _keras(self) -> Run:
        import keras

        model, pixels, targets = self._classifier(), self._pixels(), self._targets()
        loss = keras.losses.CategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.AdamW(1e-5), loss)
        return lambda: model.train_on_batch(pixels, targets)

    def _today(self, model: Any) -> Run:
        from retrain.training.optim import make_step

        pixels, targets = self._pixels(model.input_shape[1]), self._targets()
        step = make_step(model, self._optimizer(model), smoothing=0.1)
        return lambda: step(pixels, targets).numpy()

    def _cut(self, kind: str, layer: str) -> Run:
        import tensorflow as tf

        from retrain.model.cut import split_at
        from retrain.model.folded import fold_batch_norm
        from retrain.model.predict import Forward

        model = self._classifier()
        pixels = self._pixels()
        if kind == "below":
            forward = Forward(split_at(model, layer)[0], constant=True)
            images = pixels.numpy()
            return lambda: forward(images)
        twin = fold_batch_norm(model, True)
        lower, upper = split_at(twin, layer)
        return self._step(twin, upper, tf.cast(lower(pixels), tf.float16))

    def _step(self, whole: Any, model: Any, inputs: Any, towers: int = 1) -> Run:
        """Return a step as `make_step` makes it, for other inputs and for several towers.

        Args:
            whole: the model whose layers have the rates.
            model: the part of it that trains.
            inputs: what goes into that part.
            towers: into how many parts, side by side, the batch is dealt.
        """
        import keras
        import tensorflow as tf

        optimizer, targets = self._optimizer(whole), self._targets()
        variables = model.trainable_variables
        optimizer.build(variables)
        loss_function = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)

        def gradients(inputs: Any, targets: Any) -> tuple[Any, list[Any]]:
            with tf.GradientTape() as tape:
                loss = loss_function(targets, model(inputs, training=True))
            return loss, tape.gradient(loss, variables)

        @tf.function  # type: ignore[untyped-decorator]
        def step(inputs: Any, targets: Any) -> Any:
            parts = zip(tf.split(inputs, towers), tf.split(targets, towers), strict=True)
            losses, found = zip(*[gradients(*part) for part in parts], strict=True)
            optimizer.apply([tf.add_n(each) / towers for each in zip(*found, strict=True)])
            return tf.add_n(losses) / towers

        return lambda: step(inputs, targets).numpy()


def serve(backbone: str, batch: int, threads: str) -> None:
    """Time the rows that standard input names, one a line; answer each with a line of JSON."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else prints must not come between
    import tensorflow as tf

    intra, inter = (1, THREADS) if threads == "inter" else (THREADS, 1)
    tf.config.threading.set_intra_op_parallelism_threads(intra)
    tf.config.threading.set_inter_op_parallelism_threads(inter)
    rows, runs = Rows(backbone, batch), dict[str, Run]()
    for line in sys.stdin:
        row = line.strip()
        if row not in runs:
            runs[row] = rows.make(row)
            for _ in range(WARM):
                runs[row]()
        wall, used = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            runs[row]()
        wall, used = time.perf_counter() - wall, time.process_time() - used
        print(json.dumps([1e3 * t / STEPS / batch for t in (wall, used)]), file=answers, flush=True)


class Worker:
    """A process with its own settings of oneDNN and threads."""

    def __init__(self, args: argparse.Namespace, onednn: str, threads: str) -> None:
        command = [sys.executable, __file__, "--serve", threads]
        command += ["--backbone", args.backbone, "--batch", str(args.batch)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if args.loud else subprocess.DEVNULL,
            text=True,
            env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": onednn},
        )

    def time(self, row: str) -> tuple[float, float]:
        """Return milliseconds a picture, on the clock and of CPU time.

        Raises:
            SystemExit: the process has ended.
        """
        questions, answers = self._pipes()
        print(row, file=questions, flush=True)
        answer = answers.readline()
        if not answer:
            raise SystemExit(f"{row!r} ended its process; --loud shows why")
        wall, used = json.loads(answer)
        return wall, used

    def _pipes(self) -> tuple[IO[str], IO[str]]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        return self.process.stdin, self.process.stdout

    def end(self) -> None:
        """Let the process end."""
        self._pipes()[0].close()
        self.process.wait()


def row_names(backbone: str) -> list[str]:
    """Return the rows, in the order of the table."""
    from retrain.model.backbones import backbone_named
    from retrain.model.build import add_head, build_backbone
    from retrain.model.cut import cut_layer
    from retrain.model.weights import Weights

    row = backbone_named(backbone)
    network = build_backbone(row, row.size, Weights("none"))
    width = network.output_shape[-1]
    model = add_head(network, np.zeros((width, 2), np.float32), np.zeros(2, np.float32))
    cuts = [cut_layer(model, row, groups) for groups in (3, 2)]
    sizes = [f"{size} px" for size in SIZES if size < row.size]
    parts = [f"{part} {layer}" for layer in cuts for part in ("above", "below")]
    whole = ["model.fit", "today", "folded", "depthwise", "fixed filters", "towers"]
    return [*whole, *sizes, *parts, "bfloat16"]


def measure(args: argparse.Namespace) -> None:
    """Time all rows in turn, and print the table."""
    names = [
        name
        for name in row_names(args.backbone)
        if not args.only or any(word in name for word in args.only)
    ]
    workers: dict[tuple[str, str], Worker] = {}
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    print(f"{args.backbone}, batch {args.batch}; load before: {os.getloadavg()[0]:.2f}", flush=True)
    for number in range(args.rounds):
        for name in names:
            for onednn in args.onednn:
                key = onednn, "inter" if name == "towers" else "intra"
                if key not in workers:
                    workers[key] = Worker(args, *key)
                found.setdefault((name, onednn), []).append(workers[key].time(name))
        print(f"round {number + 1} of {args.rounds}; load {os.getloadavg()[0]:.2f}", flush=True)
    for worker in workers.values():
        worker.end()
    print_table(found)


def print_table(found: dict[tuple[str, str], list[tuple[float, float]]]) -> None:
    """Print medians; ratios are to the first row of the same setting of oneDNN."""
    print(f"\n{'':<28}{'oneDNN':>7}{'wall ms':>9}{'CPU ms':>8}{'ratio':>7}{'CPU min - max':>17}")
    first: dict[str, float] = {}
    for (name, onednn), times in found.items():
        wall, used = (median(those) for those in zip(*times, strict=True))
        every = [used for _, used in times]
        ratio = used / first.setdefault(onednn, used)
        state = "on" if onednn == "1" else "off"
        spread = f"{min(every):.2f} - {max(every):.2f}"
        print(f"{name:<28}{state:>7}{wall:9.2f}{used:8.2f}{ratio:7.2f}{spread:>17}")


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="rows whose name holds a word")
    parser.add_argument("--rounds", type=int, default=7, help="default 7")
    parser.add_argument("--batch", type=int, default=32, help="pictures in a step (default 32)")
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument(
        "--onednn", nargs="+", choices=("1", "0"), default=("1", "0"), help="on, off, or both"
    )
    parser.add_argument("--loud", action="store_true", help="show what TensorFlow says")
    parser.add_argument("--serve", choices=("intra", "inter"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(args.backbone, args.batch, args.serve)
    else:
        measure(args)


if __name__ == "__main__":
    main()
