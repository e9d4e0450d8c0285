"""Small networks on images of digits: a perceptron, a convolutional one, and an autoencoder."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gdbench.contracts import Problem, problem_family
from gdbench.lazy import jax, jnp
from gdbench.problems import datasets
from gdbench.problems.cross_entropy import cross_entropy
from gdbench.problems.layers import Layers, dense, initialised, kink
from gdbench.problems.settings import one_of, refuse, whole_number

ROWS, SIDE, PIXELS, CLASSES = 1797, 8, 64, 10
TRAINED = ROWS - ROWS // datasets.HELD_OUT_SHARE
HIDDEN = 32
ACTIVATIONS = ("tanh", "relu")

MLP_TARGETS = {"tanh": 0.102, "relu": 0.096}
MLP_TARGET_ORIGIN = (
    "training loss of scikit-learn's MLPClassifier (32,) of this activation after 50 epochs of 64-image batches, "
    "alpha = 0, random_state = 0, otherwise at its defaults (Adam at rate 1e-3), rounded up to three decimals"
)
CONV_TARGET = 0.09
CONV_TARGET_ORIGIN = (
    "loss of Adam at rate 1e-3 after 2,000 batches of 64 images from the default start (seed 0), rounded up to two "
    "decimals"
)


def _affine(a, x, name):
    # Full precision, for some accelerators round the factors of a float32 product.
    product = jnp.matmul(a, x[f"{name}_weights"], precision="highest")
    return product + jnp.broadcast_to(x[f"{name}_bias"], product.shape)


def _penalty(x, data, parameters):
    """l2/2 |x|^2 over all weights and biases; on held-out data nothing."""
    squares = sum(jnp.sum(leaf**2) for leaf in x.values())
    return 0.5 * data["penalised"] * parameters["l2"] * squares


@functools.cache
def images_with_labels(label_noise: float, instance: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Images [n, 64] and labels [n, 10], to train on (some of them wrong) and held out."""
    images, classes = datasets.table("digits")
    train, held_out = datasets.split(ROWS, instance)
    given = datasets.mislabelled(classes[train], CLASSES, label_noise, instance)
    seen = {"images": images[train], "labels": datasets.one_hot(given, CLASSES)}
    unseen = {"images": images[held_out], "labels": datasets.one_hot(classes[held_out], CLASSES)}
    datasets.frozen(*seen.values(), *unseen.values())
    return seen, unseen


def _fields(seen: dict[str, np.ndarray], unseen: dict[str, np.ndarray], batch: int, layers: Layers) -> dict[str, Any]:
    """The fields of a Problem that all networks here have in common."""
    return {
        "source": datasets.SOURCES["digits"],
        "convex": False,
        "data": {"rows": seen, "penalised": np.ones(())},
        "held_out": {"rows": unseen, "penalised": np.zeros(())},
        "notes": "the target is that of l2 = 0; the held-out loss leaves the penalty out",
        **initialised(layers),
        **datasets.batches_of_rows(TRAINED, batch),
    }


def _aim(clean: float, origin: str, label_noise: float) -> dict[str, Any]:
    """The target and its origin: with wrong labels, their entropy on top."""
    wrong = round(label_noise * TRAINED) / TRAINED
    noise = datasets.entropy_of_noise(wrong, CLASSES)
    return {"target": clean + noise, "target_origin": origin + (datasets.NOISE_ORIGIN if wrong else "")}


@functools.cache
def perceptron_of(activation: str) -> Callable[..., Any]:
    """Cross-entropy of a network with one hidden layer; one function object for all instances."""

    def objective(x, data, parameters):
        activate = jnp.tanh if activation == "tanh" else jax.nn.relu
        hidden = activate(_affine(data["rows"]["images"], x, "hidden"))
        logits = _affine(hidden, x, "output")
        return cross_entropy(logits, data["rows"]["labels"]) + _penalty(x, data, parameters)

    return objective


@problem_family(l2=0.0)
def digits_mlp(activation: str = "tanh", batch: int = 64, label_noise: float = 0.0, instance: int = 0) -> Problem:
    """Mean cross-entropy of a 64-32-10 network on images of digits, plus l2/2 |x|^2, in mini-batches.

    x is {"hidden_weights": [64, 32], "hidden_bias", "output_weights": [32, 10], "output_bias"}. The box is the usual
    uniform initial distribution (Glorot's for tanh, He's for relu). 1,438 images are trained on, 359 held out.

    Args:
        activation: "tanh" or "relu".
        batch: images a step, drawn with replacement; 0 takes every image once and makes the problem deterministic.
        label_noise: share of the training labels that are wrong; held-out labels are not touched.
        instance: seed of the split and of the wrong labels.
    """
    name = "digits_mlp"
    refuse(
        one_of(name, "activation", activation, ACTIVATIONS)
        + datasets.faults_of_rows(name, TRAINED, batch, instance, label_noise)
    )
    rectified = activation == "relu"
    layers = dense("hidden", PIXELS, HIDDEN, rectified) | dense("output", HIDDEN, CLASSES)
    fields = _fields(*images_with_labels(label_noise, instance), batch, layers)
    return Problem(
        name=name,
        objective=perceptron_of(activation),
        formula=f"mean_i cross-entropy(W_2^T {activation}(W_1^T a_i + b_1) + b_2, label(i)) + l2/2 |x|^2",
        kinks=kink(fields, "hidden_weights", "hidden_bias") if rectified else None,
        **_aim(MLP_TARGETS[activation], MLP_TARGET_ORIGIN, label_noise),
        **fields,
    )


CHANNELS = 4, 8


def _convolved(x, data, parameters):
    """Patches [n, 16, 9] -> 4 channels at 4 by 4 places -> 8 channels at 2 by 2 places -> 10 logits."""
    hidden = jax.nn.relu(_affine(data["rows"]["patches"], x, "first"))
    count = hidden.shape[0]
    places = hidden.reshape(count, 4, 4, CHANNELS[0])
    # A convolution as a product of matrices: kernels that differ from lane to lane make slow convolutions.
    windows = [places[:, i : i + 3, j : j + 3].reshape(count, -1) for i in (0, 1) for j in (0, 1)]
    hidden = jax.nn.relu(_affine(jnp.stack(windows, axis=1), x, "second"))
    logits = _affine(hidden.reshape(count, -1), x, "output")
    return cross_entropy(logits, data["rows"]["labels"]) + _penalty(x, data, parameters)


def patches_of(images: np.ndarray) -> np.ndarray:
    """The 3 by 3 patches around every other pixel, with a margin of zeros: [n, 64] -> [n, 16, 9]."""
    padded = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), (1, 1), (1, 1)))
    corners = range(0, SIDE, 2)
    cut = [padded[:, i : i + 3, j : j + 3].reshape(len(images), -1) for i in corners for j in corners]
    return np.stack(cut, axis=1)


@functools.cache
def patches_with_labels(label_noise: float, instance: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """As ``images_with_labels``, with the images cut into patches [n, 16, 9]."""

    def cut(part: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        patches = patches_of(part["images"])
        datasets.frozen(patches)
        return {"patches": patches, "labels": part["labels"]}

    seen, unseen = images_with_labels(label_noise, instance)
    return cut(seen), cut(unseen)


@problem_family(l2=0.0)
def digits_conv(batch: int = 64, label_noise: float = 0.0, instance: int = 0) -> Problem:
    """Mean cross-entropy of a small convolutional network on images of digits, plus l2/2 |x|^2, in mini-batches.

    A 3 by 3 convolution with stride 2 to 4 channels (4 by 4 places), a 3 by 3 convolution to 8 channels (2 by 2
    places), both with bias and rectifier, and a linear layer: 666 coordinates. The box is He's uniform initial
    distribution. 1,438 images are trained on, 359 held out.

    Args:
        batch: images a step, drawn with replacement; 0 takes every image once and makes the problem deterministic.
        label_noise: share of the training labels that are wrong; held-out labels are not touched.
        instance: seed of the split and of the wrong labels.
    """
    refuse(datasets.faults_of_rows("digits_conv", TRAINED, batch, instance, label_noise))
    layers = dense("first", 9, CHANNELS[0], rectified=True) | dense("second", 9 * CHANNELS[0], CHANNELS[1], True)
    layers |= dense("output", 4 * CHANNELS[1], CLASSES)
    fields = _fields(*patches_with_labels(label_noise, instance), batch, layers)
    return Problem(
        name="digits_conv",
        objective=_convolved,
        formula="mean_i cross-entropy(linear(relu(conv 3x3(relu(conv 3x3/2(a_i))))), label(i)) + l2/2 |x|^2",
        kinks=kink(fields, "first_weights", "first_bias"),
        **_aim(CONV_TARGET, CONV_TARGET_ORIGIN, label_noise),
        **fields,
    )


def _reconstruction(x, data, parameters):
    images = data["rows"]["images"]
    code = _affine(jnp.tanh(_affine(images, x, "encoder")), x, "code")
    again = _affine(jnp.tanh(_affine(code, x, "decoder")), x, "output")
    return jnp.mean((images - again) ** 2) + _penalty(x, data, parameters)


@functools.cache
def principal_loss(components: int, instance: int) -> float:
    """Mean squared error a pixel of the training images' principal components, so many of them."""
    images = images_with_labels(0.0, instance)[0]["images"]
    singular = np.linalg.svd(images - images.mean(axis=0), compute_uv=False)
    return float(np.sum(singular[components:] ** 2) / images.size)


@problem_family(l2=0.0)
def digits_autoencoder(code: int = 8, batch: int = 64, instance: int = 0) -> Problem:
    """Mean squared error of a 64-32-8-32-64 autoencoder on images of digits, plus l2/2 |x|^2, in mini-batches.

    Hidden layers are tanh, the code in the middle and the output linear. The target is what no linear autoencoder with
    a code of this size can pass: the error of the principal components. 1,438 images are trained on, 359 held out.

    Args:
        code: numbers that an image is reduced to, from 1 to 32.
        batch: images a step, drawn with replacement; 0 takes every image once and makes the problem deterministic.
        instance: seed of the split.
    """
    name = "digits_autoencoder"
    refuse(whole_number(name, "code", code, 1, HIDDEN) + datasets.faults_of_rows(name, TRAINED, batch, instance))
    layers = dense("encoder", PIXELS, HIDDEN) | dense("code", HIDDEN, code)
    layers |= dense("decoder", code, HIDDEN) | dense("output", HIDDEN, PIXELS)
    seen, unseen = ({"images": part["images"]} for part in images_with_labels(0.0, instance))
    return Problem(
        name=name,
        objective=_reconstruction,
        formula="mean_i |a_i - g(h(a_i))|^2/64 + l2/2 |x|^2, h and g each a tanh layer of 32 and a linear one",
        target=principal_loss(int(code), int(instance)),
        target_origin=f"mean squared error a pixel of the first {code} principal components of the training images",
        **_fields(seen, unseen, batch, layers),
    )
