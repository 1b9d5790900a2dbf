"""A training twin of a classifier, in which frozen BatchNorm costs nothing.

A frozen BatchNorm multiplies each channel by a constant and adds another. Behind a convolution both
fit into the kernel and the bias: one pass less over the activations, forward and backward. The
kernel stays the variable and is scaled in the graph: gradients and steps are the original's.
"""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops, tree
from numpy.typing import NDArray

from retrain.model.build import dtype_policy
from retrain.model.depthwise import convolve, is_cheaper

_Constants = tuple[NDArray[np.float32], NDArray[np.float32]]


class FoldedConv2D(keras.layers.Conv2D):  # type: ignore[misc]
    """Conv2D followed by a frozen BatchNorm; made by `fold_batch_norm`, and not saved.

    scale, shift: what the BatchNorm does to each channel, float32 [filters].
    """

    def __init__(self, scale: NDArray[np.float32], shift: NDArray[np.float32], **config: Any):
        # Without autocast the kernel comes as float32, and is rounded once, after scaling.
        super().__init__(autocast=False, **config)
        self.scale, self.shift = scale, shift

    def call(self, inputs: Any) -> Any:
        """Return [n, height', width', filters] in the compute dtype."""
        kernel = ops.cast(self.kernel * self.scale, self.compute_dtype)
        outputs = self.convolution_op(ops.cast(inputs, self.compute_dtype), kernel)
        return tf.nn.bias_add(outputs, _bias(self))


class FoldedDepthwiseConv2D(keras.layers.DepthwiseConv2D):  # type: ignore[misc]
    """DepthwiseConv2D followed by a frozen BatchNorm; made by `fold_batch_norm`, and not saved.

    scale, shift: what the BatchNorm does to each channel, float32 [channels * multiplier].
    cheap: whether gradients are computed by `depthwise.convolve`.
    """

    def __init__(
        self, scale: NDArray[np.float32], shift: NDArray[np.float32], cheap: bool, **config: Any
    ):
        super().__init__(autocast=False, **config)
        self.scale, self.shift = scale, shift
        self.cheap = cheap and tuple(self.dilation_rate) == (1, 1)

    def call(self, inputs: Any) -> Any:
        """Return [n, height', width', channels * multiplier] in the compute dtype."""
        scale = self.scale.reshape(self.kernel.shape[2:])
        kernel = ops.cast(self.kernel * scale, self.compute_dtype)
        inputs = ops.cast(inputs, self.compute_dtype)
        if self.cheap:
            outputs = convolve(inputs, kernel, self.strides[0], self.padding)
        else:
            outputs = ops.depthwise_conv(
                inputs, kernel, self.strides, self.padding, dilation_rate=self.dilation_rate
            )
        return tf.nn.bias_add(outputs, _bias(self))


def _bias(layer: FoldedConv2D | FoldedDepthwiseConv2D) -> tf.Tensor:
    own = layer.bias * layer.scale if layer.use_bias else 0.0
    return ops.cast(own + layer.shift, layer.compute_dtype)


def fold_batch_norm(model: keras.Model, cheap: bool | None = None) -> keras.Model:
    """Return a twin to train in place of a classifier, with the same outputs and gradients.

    A frozen BatchNorm directly behind a Conv2D or DepthwiseConv2D, which nothing else reads, is
    folded into it; a no-op that bears its name takes its place. Others stay (before the
    convolution, as in DenseNet, or behind a SeparableConv2D). The twin has no layer in common with
    the model, and its constants are those of now.

    Args:
        model: a flat model, as of `add_head`, with what trains already free.
        cheap: whether gradients of depthwise convolutions are computed by `depthwise.convolve`,
            which gives the same numbers to rounding; None for where that is cheaper.

    Returns:
        A model of layers of the same names, order, dtype policies and trainability; the model
        itself where it has nothing to fold.
    """
    constants = _foldable(model)
    if not constants:
        return model
    cheap = is_cheaper() if cheap is None else cheap

    def twin(layer: Any) -> Any:
        if not isinstance(layer, keras.Layer):
            return layer.__class__.from_config(layer.get_config())
        config = layer.get_config() | {"dtype": layer.dtype_policy}
        if layer.name in constants and isinstance(layer, keras.layers.BatchNormalization):
            return keras.layers.Identity(name=layer.name, dtype=layer.dtype_policy)
        if layer.name in constants and isinstance(layer, keras.layers.DepthwiseConv2D):
            return FoldedDepthwiseConv2D(*constants[layer.name], cheap=cheap, **config)
        if layer.name in constants:
            return FoldedConv2D(*constants[layer.name], **config)
        return layer.__class__.from_config(layer.get_config())

    def call(layer: Any, *inputs: Any, **options: Any) -> Any:
        if isinstance(layer, keras.layers.Identity):
            return layer(*inputs)  # the BatchNorm's own call names a mask
        return layer(*inputs, **options)

    with dtype_policy(model.dtype_policy.name):
        folded = keras.models.clone_model(model, clone_function=twin, call_function=call)
    for layer in folded.layers:
        if layer.weights:
            layer.set_weights(model.get_layer(layer.name).get_weights())
        layer.trainable = model.get_layer(layer.name).trainable
    return folded


def copy_weights(trained: keras.Model, model: keras.Model) -> None:
    """Copy the weights of a folded twin, or of a part of one, into its model by layer name."""
    for layer in trained.layers:
        if layer.weights:
            model.get_layer(layer.name).set_weights(layer.get_weights())


def _foldable(model: keras.Model) -> dict[str, _Constants]:
    """Return scale and shift by the names of convolutions and of the BatchNorms behind them."""
    readers: dict[int, int] = {}
    makers = {id(layer.output): layer for layer in model.layers}
    for operation in model.operations:
        for tensor in tree.flatten(operation.input):
            readers[id(tensor)] = readers.get(id(tensor), 0) + 1
    found: dict[str, _Constants] = {}
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization) or norm.trainable:
            continue
        convolution: Any = makers.get(id(norm.input))
        if _takes_in(convolution, norm) and readers[id(norm.input)] == 1:
            found[convolution.name] = found[norm.name] = _constants(norm)
    return found


def _takes_in(layer: Any, norm: keras.layers.BatchNormalization) -> bool:
    """Tell whether a layer is a convolution of the same channels without an activation."""
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    return (
        type(layer) in kinds
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
        and norm.axis in (-1, 3)
    )


def _constants(norm: keras.layers.BatchNormalization) -> _Constants:
    """Return what a frozen BatchNorm multiplies by and what it adds, float32 [channels]."""
    mean, variance = (np.asarray(v, np.float64) for v in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else 1.0
    beta = np.asarray(norm.beta, np.float64) if norm.center else 0.0
    scale = gamma / np.sqrt(variance + norm.epsilon)
    return scale.astype(np.float32), (beta - mean * scale).astype(np.float32)
