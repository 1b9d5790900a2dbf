"""What a network looks at; the only file that imports tf-keras-vis."""

import difflib
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tf_keras_vis.gradcam import Gradcam
from tf_keras_vis.gradcam_plus_plus import GradcamPlusPlus
from tf_keras_vis.layercam import Layercam
from tf_keras_vis.saliency import Saliency
from tf_keras_vis.scorecam import Scorecam
from tf_keras_vis.utils.scores import CategoricalScore

from retrain.config import ExplainMethod
from retrain.data.images import Pixels
from retrain.errors import UsageError
from retrain.model.build import LOGITS

_CAMS = {
    "gradcam": Gradcam,
    "gradcam++": GradcamPlusPlus,
    "layercam": Layercam,
    "scorecam": Scorecam,
}
BY_PIXEL = ("saliency", "guided", "guided-gradcam")  # these need no feature maps of a layer
_HAS_NO_SAY = {"linear", "sigmoid", "softmax"}  # of gates and outputs, where no ReLU could be


class Interpreter:
    """Explains a classifier's logits, a batch of pictures at a time.

    layer: the layer from whose output class activation maps are made.
    """

    def __init__(self, model: keras.Model, layer: str | None = None) -> None:
        """Copy a model so that gradients reach its pixels.

        Args:
            model: a flat float32 model, from uint8 pixels to logits.
            layer: the name of a layer whose output is feature maps; None for the last such layer,
                the end of the last block.

        Raises:
            UsageError: there is no such layer.
        """
        self._model = _on_float_pixels(model, _same)
        maps = [one.name for one in self._model.layers if _has_maps(one)]
        self.layer = _known(layer, maps) if layer else maps[-1]
        self._guided: keras.Model | None = None

    def use_head(self, kernel: NDArray[np.floating], bias: NDArray[np.floating]) -> None:
        """Explain the logits of another head from now on: kernel [d, k], bias [k]."""
        self._model.get_layer(LOGITS).set_weights([kernel, bias])
        self._guided = None  # a copy with the head from before

    def heat(
        self, method: ExplainMethod, pixels: Pixels, categories: Sequence[int]
    ) -> NDArray[np.float32]:
        """Return where each picture speaks for a category, float32 [n, size, size], 0..1.

        Args:
            method: "gradcam" (Selvaraju et al. 2017), "gradcam++" (Chattopadhay et al. 2018),
                "layercam" (Jiang et al. 2021), "scorecam" (Wang et al. 2020; a forward pass for
                each of the layer's channels), "saliency" (Simonyan et al. 2014), or what `guided`
                and `guided_gradcam` return, without its sign and colours.
            pixels: the pictures, uint8 [n, size, size, 3].
            categories: the index of the logit to explain, for each picture.

        Raises:
            UsageError: the method does not work on this network.
        """
        if method not in BY_PIXEL:
            return self._class_activation(method, pixels, categories)
        if method == "saliency":
            gradients = self.gradients(pixels, categories)
        elif method == "guided":
            gradients = self.guided(pixels, categories)
        else:
            gradients = self.guided_gradcam(pixels, categories)
        strength = np.abs(gradients).max(axis=-1)
        # A few pixels outshine all others.
        most = np.percentile(strength, 99.5, axis=(1, 2), keepdims=True)
        return _share(strength, most)

    def _class_activation(
        self, method: ExplainMethod, pixels: Pixels, categories: Sequence[int]
    ) -> NDArray[np.float32]:
        heat = _CAMS[method](self._model, clone=False)(
            CategoricalScore(list(categories)),
            pixels.astype(np.float32),
            penultimate_layer=self.layer,
            seek_penultimate_conv_layer=False,
            normalize_cam=False,  # its epsilon would swallow weak gradients
        )
        return _share(heat, np.max(heat, axis=(1, 2), keepdims=True))

    def gradients(self, pixels: Pixels, categories: Sequence[int]) -> NDArray[np.float32]:
        """Return the gradient of each picture's logit by its pixels, float32 [n, size, size, 3]."""
        return _gradients(self._model, pixels, categories)

    def guided(self, pixels: Pixels, categories: Sequence[int]) -> NDArray[np.float32]:
        """Return the same by guided backpropagation (Springenberg et al. 2015).

        Raises:
            UsageError: the network has other nonlinearities than ReLU.
        """
        if reason := self.refusal():
            raise UsageError(reason)
        if self._guided is None:
            self._guided = _on_float_pixels(self._model, _guided_layer)
        return _gradients(self._guided, pixels, categories)

    def guided_gradcam(self, pixels: Pixels, categories: Sequence[int]) -> NDArray[np.float32]:
        """Return guided gradients where Grad-CAM is hot, float32 [n, size, size, 3].

        Raises:
            UsageError: as for `guided`.
        """
        heat = self.heat("gradcam", pixels, categories)
        return self.guided(pixels, categories) * heat[..., np.newaxis]

    def refusal(self) -> str | None:
        """Return why guided backpropagation does not work on this network; None if it works."""
        others = {_activation_name(one) for one in self._model.layers} - {"relu"} - _HAS_NO_SAY
        if not others:
            return None
        return (
            "Guided backpropagation needs a network whose only nonlinearity is ReLU. Received: a "
            f"network with {', '.join(sorted(others))}. Choose the method saliency instead."
        )


def _share(heat: NDArray[np.floating], most: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return heat [n, size, size] as shares of the highest, 0..1; zero stays zero."""
    return np.asarray(np.clip(heat / np.where(most > 0, most, 1), 0, 1), np.float32)


def _on_float_pixels(
    model: keras.Model, copy: Callable[[keras.layers.Layer], keras.layers.Layer]
) -> keras.Model:
    """Return a copy of a model for float32 pixels 0..255, because integers have no gradient."""
    pixels = keras.Input(model.input_shape[1:], dtype="float32", name="pixels")
    inputs = [pixels] if isinstance(model.input, list) else pixels
    clone = keras.models.clone_model(model, input_tensors=inputs, clone_function=copy)
    clone.set_weights(model.get_weights())
    return keras.Model(clone.inputs, clone.outputs[0])  # a list goes in, as tf-keras-vis does it


def _same(layer: keras.layers.Layer) -> keras.layers.Layer:
    return layer.__class__.from_config(layer.get_config())


def _guided_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    if isinstance(layer, keras.layers.ReLU):
        return keras.layers.Activation(_guided_relu(layer.max_value), name=layer.name)
    copy = _same(layer)
    if getattr(copy, "activation", None) is keras.activations.relu:
        copy.activation = _guided_relu(None)
    return copy


def _guided_relu(cap: float | None) -> Callable[[Any], Any]:
    """Return a ReLU that passes back only positive gradients."""

    def relu(x: Any) -> tuple[Any, Callable[[Any], Any]]:
        def back(gradient: Any) -> Any:
            passes = (x > 0) & (gradient > 0)
            if cap is not None:
                passes &= x < cap
            return tf.where(passes, gradient, tf.zeros_like(gradient))

        return keras.activations.relu(x, max_value=cap), back

    return tf.custom_gradient(relu)  # type: ignore[no-any-return]


def _gradients(
    model: keras.Model, pixels: Pixels, categories: Sequence[int]
) -> NDArray[np.float32]:
    return np.asarray(
        Saliency(model, clone=False)(
            CategoricalScore(list(categories)),
            pixels.astype(np.float32),
            keepdims=True,
            gradient_modifier=None,
            normalize_map=False,
        ),
        np.float32,
    )


def _activation_name(layer: keras.layers.Layer) -> str:
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", str(activation))


def _has_maps(layer: keras.layers.Layer) -> bool:
    shape = getattr(layer.output, "shape", ())
    return len(shape) == 4 and not isinstance(layer, keras.layers.InputLayer)


def _known(name: str, names: Sequence[str]) -> str:
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(
        f"The layer must be one that has feature maps. Received: {name!r}.{hint} "
        f"Choose one of {', '.join(names)}.",
        setting="layer",
    )
