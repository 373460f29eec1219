import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def run(code):
    """Run code in a process that has not imported TensorFlow; return its output."""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_keras_is_imported_by_those_who_use_it():
    assert run(
        "import sys\n"
        "from lpot_examples.backends.tensorflow.runtime import import_tensorflow\n"
        "tf = import_tensorflow()\n"
        "print(sorted({'keras', 'sklearn'} & set(sys.modules)))\n"
        "print(tf.keras.layers.Dense(3).units)\n"
        "import keras.src.optimizers\n"
    ).splitlines() == ["[]", "3"]
