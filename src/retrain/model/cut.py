"""Where a classifier can be cut in two, so that its lower part runs once a view, not every epoch.

A flat model can be cut behind a layer if everything passes through that layer's output: nothing
skips it. In graphs these are the articulation points between input and output.
"""

import keras
from keras import tree

from retrain.model.backbones import Backbone
from retrain.model.build import dtype_policy, layer_groups


def cut_points(model: keras.Model) -> list[str]:
    """Return the names of the layers behind which a flat model can be cut, from stem to head.

    Args:
        model: one input, one output, each layer called once.
    """
    operations = [o for o in model.operations if not isinstance(o, keras.layers.InputLayer)]
    last_reader: dict[int, int] = {}
    for place, operation in enumerate(operations):
        for tensor in tree.flatten(operation.input):
            last_reader[id(tensor)] = place
    points, busy_until = [], 0
    for place, operation in enumerate(operations[:-1]):
        # A tensor from above is still to be read below: it would skip the cut.
        if busy_until <= place and isinstance(operation, keras.Layer):
            points.append(operation.name)
        busy_until = max(busy_until, last_reader[id(operation.output)])
    return points


def cut_layer(model: keras.Model, backbone: Backbone, groups: int) -> str | None:
    """Return the layer behind which to cut below the last layer groups.

    It is the last layer at or before the end of the group below behind which the model can be cut.

    Args:
        model: a classifier, as of `add_head`.
        backbone: the backbone's row of the table.
        groups: the number of layer groups above the cut.

    Returns:
        Its name; None where there is none.
    """
    points = set(cut_points(model))
    below = [layer.name for group in layer_groups(model, backbone)[:-groups] for layer in group]
    return next((name for name in reversed(below) if name in points), None)


def split_at(model: keras.Model, name: str) -> tuple[keras.Model, keras.Model]:
    """Split a classifier behind a layer.

    Both parts share their layers with the model: what the upper part learns, the model has learned.
    Fold BatchNorm before, not after: a cut between a convolution and its BatchNorm has other
    activations once they are folded.

    Args:
        model: a flat classifier from uint8 pixels [n, s, s, 3] to logits [n, k].
        name: one of `cut_points`.

    Returns:
        lower: from uint8 pixels [n, s, s, 3] to activations [n, h, w, c] in the layer's dtype.
        upper: from activations, cast if they come as float16, to float32 logits [n, k].

    Raises:
        ValueError: something skips that layer.
    """
    if name not in cut_points(model):
        raise ValueError(f"A cut must be behind a layer that nothing skips. Received: {name!r}.")
    activations = model.get_layer(name).output
    with dtype_policy(model.dtype_policy.name):
        lower = keras.Model(model.input, activations, name=f"{model.name}_lower")
        upper = keras.Model(activations, model.output, name=f"{model.name}_upper")
    return lower, upper
