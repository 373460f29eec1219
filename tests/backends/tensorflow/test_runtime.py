import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(code):
    """Run code in a process that has not imported TensorFlow; return its output."""
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_it_is_quiet_and_keras_is_imported_by_those_who_use_it():
    assert run(
        "import sys\n"
        "from lpot_examples.backends.tensorflow.runtime import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "with tf.Graph().as_default(), tf.compat.v1.Session() as session:\n"
        "    session.run(tf.nn.relu(tf.ones([2, 2])))\n"
        "print(sorted({'keras', 'sklearn'} & set(sys.modules)))\n"
        "print(tf.keras.layers.Dense(3).units)\n"
        "import keras.src.optimizers\n"
    ).splitlines() == ["[]", "3"]
