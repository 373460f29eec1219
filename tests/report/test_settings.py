"""Why two trials of the same algorithms are not the same."""

from lpot_examples.graph import TuningConfig
from lpot_examples.report.document import Config
from lpot_examples.report.settings import settings


def config(**fields):
    return Config.model_validate(TuningConfig(**fields).to_dict())


def test_what_differs_is_said_of_each_and_the_rest_once():
    each, same = settings(
        [
            config(equalization=0.5, bias_correction=True, samples=64),
            config(equalization=0.0, bias_correction=True, samples=64),
        ]
    )
    assert each == ["equalization 0.5", "not equalized"]
    assert same == "biases corrected, 64 samples"


def test_equal_trials_have_nothing_to_tell_apart():
    each, same = settings([config(fp32=frozenset({"a"})), config()])
    assert each == ["", ""]
    assert same == "not equalized, biases as given"
    assert settings([]) == ([], "")


def test_samples_and_repairs_of_single_groups():
    each, same = settings(
        [
            config(samples=10, bias_correction=True),
            config(
                samples=50,
                bias_correction=True,
                activation_overrides={"b": "kl", "a": "mse"},
                uncorrected=frozenset("abc"),
                weight_bits={"a": 7, "b": 7},
                per_tensor=frozenset("x"),
            ),
            config(samples=50, activation_overrides=dict.fromkeys("abcd", "kl")),
        ]
    )
    assert each == [
        "biases corrected, 10 samples",
        "biases corrected, 50 samples, a: mse, b: kl, one weight scale: x, "
        "weights of 7 bits: a, b, bias as given: 3 groups",
        "biases as given, 50 samples, own ranges of 4 groups",
    ]
    assert same == "not equalized"


def test_a_configuration_of_an_older_report():
    assert settings([Config(activation_algorithm="kl")])[1] == "not equalized, biases as given"
