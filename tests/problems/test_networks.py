"""Networks on real data: their losses by other means, their targets by those who reached them."""

from __future__ import annotations

import jax
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree
from scipy.signal import correlate2d
from scipy.special import log_softmax, softmax

import gdbench as gd
from gdbench.errors import SuiteError
from gdbench.problems import datasets
from gdbench.problems.layers import flattened
from gdbench.problems.networks import (
    CONV_TARGET,
    MLP_TARGETS,
    digits_autoencoder,
    digits_conv,
    digits_mlp,
    images_with_labels,
    principal_loss,
)
from gdbench.problems.transformer import TARGET, modular_addition

pytestmark = pytest.mark.slow

FAMILIES = [digits_mlp, digits_conv, digits_autoencoder, modular_addition]
every_network = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)


def tree_of(problem, x: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a flat point, sorted by name."""
    parts, at = {}, 0
    for name in sorted(problem.template):
        shape = problem.template[name].shape
        parts[name] = x[at : at + int(np.prod(shape))].reshape(shape)
        at += int(np.prod(shape))
    return parts


def at_start(problem, at, data=None) -> float:
    from dataclasses import replace

    problem = problem if data is None else replace(problem, data=data)
    return float(at(problem, problem.start[None])[0])


def mean_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    return float(-np.mean(np.sum(labels * log_softmax(logits, axis=1), axis=1)))


@every_network
def test_x_is_flattened_as_jax_does_it(family):
    problem = family()
    flat, _ = ravel_pytree(tree_of(problem, problem.start))
    np.testing.assert_array_equal(flat, problem.start.astype(np.float32))
    np.testing.assert_array_equal(flattened(tree_of(problem, problem.start)), problem.start)


@every_network
def test_the_start_is_one_draw_of_the_initial_distribution(family):
    problem = family()
    low, high = problem.box
    np.testing.assert_array_equal(low, -high)
    assert np.all(np.abs(problem.start) < high) and np.abs(problem.start / high).mean() == pytest.approx(0.5, abs=0.05)
    np.testing.assert_array_equal(family(instance=1).start, problem.start)
    for width in tree_of(problem, high).values():
        assert width.min() == width.max()


def test_initial_scales_are_the_published_ones():
    tanh, relu = (tree_of(p, p.box[1]) for p in (digits_mlp(), digits_mlp(activation="relu")))
    assert tanh["hidden_weights"][0, 0] == np.sqrt(6 / (64 + 32)) and relu["hidden_weights"][0, 0] == np.sqrt(6 / 64)
    assert tanh["output_weights"][0, 0] == relu["output_weights"][0, 0] == np.sqrt(6 / (32 + 10))
    assert tanh["hidden_bias"][0] == 1 / 8


@every_network
def test_the_penalty_is_on_all_coordinates_in_training_only(family, at):
    problem, penalised = family(), family(l2=0.5)
    more = 0.25 * np.sum(problem.start**2)
    assert at_start(penalised, at) - at_start(problem, at) == pytest.approx(more, rel=1e-10)
    assert at_start(penalised, at, problem.held_out) == pytest.approx(
        at_start(problem, at, problem.held_out), rel=1e-14
    )


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_perceptron_is_that_of_scikit_learn(activation, at):
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    problem = digits_mlp(activation=activation)
    images, labels = images_with_labels(0.0, 0)[0].values()
    x = tree_of(problem, problem.start)
    model = MLPClassifier((32,), activation=activation, max_iter=1)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(images, labels.argmax(axis=1))
    model.coefs_ = [x["hidden_weights"], x["output_weights"]]
    model.intercepts_ = [x["hidden_bias"], x["output_bias"]]
    expected = log_loss(labels.argmax(axis=1), model.predict_proba(images))
    assert at_start(problem, at) == pytest.approx(expected, rel=1e-10)


def test_the_convolutional_network_is_one_of_convolutions(at):
    problem = digits_conv()
    x = tree_of(problem, problem.start)
    data = images_with_labels(0.0, 0)[1]
    first = x["first_weights"].reshape(3, 3, 4)
    second = x["second_weights"].reshape(3, 3, 4, 8)
    logits = []
    for image in data["images"]:
        padded = np.pad(image.reshape(8, 8), 1)
        maps = np.stack([correlate2d(padded, first[:, :, c], "valid")[::2, ::2] for c in range(4)], axis=-1)
        maps = np.maximum(maps + x["first_bias"], 0)
        again = [sum(correlate2d(maps[:, :, c], second[:, :, c, d], "valid") for c in range(4)) for d in range(8)]
        hidden = np.maximum(np.stack(again, axis=-1) + x["second_bias"], 0)
        logits.append(hidden.ravel() @ x["output_weights"] + x["output_bias"])
    expected = mean_loss(np.array(logits), data["labels"])
    assert at_start(problem, at, problem.held_out) == pytest.approx(expected, rel=1e-12)


def test_the_autoencoder_is_its_formula(at):
    problem = digits_autoencoder(code=5)
    x, images = tree_of(problem, problem.start), images_with_labels(0.0, 0)[0]["images"]
    code = np.tanh(images @ x["encoder_weights"] + x["encoder_bias"]) @ x["code_weights"] + x["code_bias"]
    assert code.shape == (1438, 5)
    again = np.tanh(code @ x["decoder_weights"] + x["decoder_bias"]) @ x["output_weights"] + x["output_bias"]
    assert at_start(problem, at) == pytest.approx(np.mean((images - again) ** 2), rel=1e-12)


@pytest.mark.parametrize(("modulus", "width", "heads"), [(23, 32, 2), (5, 12, 3), (7, 8, 1)])
def test_the_transformer_is_plain_attention_over_three_places(modulus, width, heads, at):
    problem = modular_addition(modulus=modulus, width=width, heads=heads)
    x, rows = tree_of(problem, problem.start), problem.data["rows"]
    a, b, total = (rows[name].argmax(axis=1) for name in ("a", "b", "labels"))
    np.testing.assert_array_equal((a + b) % modulus, total)
    logits = []
    for i, j in zip(a, b, strict=True):
        places = np.stack([x["embedding"][i] + x["place"][0], x["embedding"][j] + x["place"][1], x["reader"]])
        read = np.zeros(width)
        for h in range(heads):
            cut = slice(h * width // heads, (h + 1) * width // heads)
            query, keys = x["reader"] @ x["query"][:, cut], places @ x["key"][:, cut]
            read[cut] = softmax(keys @ query / np.sqrt(width // heads)) @ places @ x["value"][:, cut]
        stream = x["reader"] + read @ x["mix"]
        stream = stream + np.maximum(stream @ x["up"] + x["up_bias"], 0) @ x["down"] + x["down_bias"]
        logits.append(stream @ x["unembedding"])
    assert at_start(problem, at) == pytest.approx(mean_loss(np.array(logits), rows["labels"]), rel=1e-11)


def test_all_pairs_are_trained_on_or_held_out():
    problem = modular_addition(modulus=11, train_share=0.3)
    parts = [part["rows"] for part in (problem.data, problem.held_out)]
    pairs = [set(zip(p["a"].argmax(axis=1), p["b"].argmax(axis=1), strict=True)) for p in parts]
    assert [len(p) for p in pairs] == [36, 85] and len(pairs[0] | pairs[1]) == 121


def test_a_width_that_is_no_multiple_of_the_heads_is_refused():
    with pytest.raises(SuiteError, match="width must be a multiple of heads, received 32 and 3"):
        modular_addition(heads=3)
    with pytest.raises(SuiteError, match="train_share must be a number from 0.1 to 0.9, received 1"):
        modular_addition(train_share=1)


@every_network
def test_mini_batches_are_unbiased_and_of_one_set_of_rows(family, in_dtype):
    from gdbench.kernels.compiler import jit

    problem = family(batch=48)
    x = tree_of(problem, problem.start)
    with in_dtype("float64"):
        full = float(problem(x))
        losses = jit(jax.vmap(lambda key: problem.objective(x, problem.sample(problem.data, key), {"l2": 0.0})))
        losses = np.asarray(losses(jax.random.split(jax.random.key(0), 200)))
        batch = problem.sample(problem.data, jax.random.key(7))["rows"]
    assert losses.std() > 0 and abs(losses.mean() - full) < 5 * losses.std() / np.sqrt(200)
    rows = {name: np.asarray(leaf).reshape(48, -1) for name, leaf in batch.items()}
    whole = {name: np.asarray(leaf).reshape(len(leaf), -1) for name, leaf in problem.data["rows"].items()}
    drawn, known = (np.concatenate([part[name] for name in sorted(part)], axis=1) for part in (rows, whole))
    assert all((known == row).all(axis=1).any() for row in drawn)


@pytest.mark.parametrize("family", [digits_mlp, digits_conv, modular_addition], ids=lambda f: f.name)
def test_the_target_rises_by_the_entropy_of_the_wrong_labels(family):
    clean, noisy = family(), family(label_noise=0.25)
    count, kinds = clean.data["rows"]["labels"].shape
    more = datasets.entropy_of_noise(round(0.25 * count) / count, kinds)
    assert noisy.target - clean.target == pytest.approx(more) and "entropy of the wrong labels" in noisy.target_origin


def test_relu_stands_at_a_kink_where_it_is_said_to():
    for problem in (digits_mlp(activation="relu"), digits_conv(), modular_addition()):
        x = tree_of(problem, problem.kinks[0])
        zero = {name for name, leaf in x.items() if not leaf.any()}
        assert len(zero) == 2 and all(leaf.any() for name, leaf in x.items() if name not in zero)
    assert digits_mlp().kinks is None


# Targets


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_the_target_of_the_perceptron_is_what_scikit_learn_reaches(activation):
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    images, labels = images_with_labels(0.0, 0)[0].values()
    classes = labels.argmax(axis=1)
    model = MLPClassifier((32,), activation=activation, alpha=0, batch_size=64, max_iter=50, random_state=0)
    with pytest.warns(UserWarning, match="Maximum iterations"):
        model.fit(images, classes)
    loss = log_loss(classes, model.predict_proba(images))
    assert MLP_TARGETS[activation] - 0.001 < loss < MLP_TARGETS[activation]


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_for_users")
def test_the_target_of_the_convolutional_network_is_what_adam_reaches():
    table = gd.sweep(digits_conv(), "adam", learning_rate=1e-3, steps=2000).table
    assert CONV_TARGET - 0.01 < table["f_final"][0] < CONV_TARGET


@pytest.mark.slow
@pytest.mark.usefixtures("compiled_for_users")
def test_the_target_of_the_transformer_is_what_adam_reaches():
    table = gd.sweep(modular_addition(), "adam", learning_rate=1e-3, steps=200).table
    assert TARGET - 0.01 < table["f_final"][0] < TARGET


@pytest.mark.parametrize("code", [2, 8])
def test_the_target_of_the_autoencoder_is_that_of_principal_components(code):
    from sklearn.decomposition import PCA

    images = images_with_labels(0.0, 0)[0]["images"]
    model = PCA(code).fit(images)
    again = model.inverse_transform(model.transform(images))
    assert principal_loss(code, 0) == pytest.approx(np.mean((images - again) ** 2), rel=1e-10)
    assert digits_autoencoder(code=code).target == principal_loss(code, 0)


@pytest.mark.slow
def test_the_held_out_column_is_the_loss_of_the_end_point_of_a_network(at):
    problem = digits_mlp(label_noise=0.2)
    table = gd.sweep(problem, "adam", learning_rate=0.01, steps=40, paths=1, dtype="float64").table
    x = np.asarray(table["path"][0]).reshape(-1, problem.dim)[-1]
    parts, data = tree_of(problem, x), images_with_labels(0.2, 0)[1]
    hidden = np.tanh(data["images"] @ parts["hidden_weights"] + parts["hidden_bias"])
    expected = mean_loss(hidden @ parts["output_weights"] + parts["output_bias"], data["labels"])
    assert table["f_held_out"][0] == pytest.approx(expected, rel=1e-10)
