import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lpot_examples.benchmark import runner
from lpot_examples.benchmark.pool import BenchmarkError, worker_pool
from lpot_examples.benchmark.runner import benchmark, compare, named, share_cores
from lpot_examples.benchmark.worker import Job
from lpot_examples.errors import ModelError

pytestmark = pytest.mark.alone  # measures time

HERE = Path(__file__).parent
LOADER = "stand_in_models:load"


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(HERE))


def run(*models, **options):
    return benchmark(models, **{"warmup": 1, "iterations": 12, "loader": LOADER, **options})


def test_latency_and_speedup_come_from_a_pinned_process(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    report = run("sleep-6.pb", "sleep-2.pb", batch_size=3, cores_per_instance=1)
    assert report.baseline == "sleep-6.pb"
    assert 6 <= report.latency["sleep-6.pb"].p50 < 12
    assert 1.7 < report.speedup("sleep-2.pb").value < 3.2
    calls = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert {tuple(call["cores"]) for call in calls} == set(report.cores)
    assert {tuple(call["batch"]) for call in calls} == {(3, 4)}
    assert os.getpid() not in {call["pid"] for call in calls}
    content = json.loads(json.dumps(report.to_dict()))
    assert content["models"]["sleep-6.pb"]["speedup"] is None
    assert content["models"]["sleep-2.pb"]["speedup"]["value"] > 1.7
    assert content["host"]["threads"] == 1


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_instances_run_the_same_model_at_the_same_time_on_their_own_cores(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    report = run("sleep-6.pb", "sleep-2.pb", num_of_instance=2, cores_per_instance=1)
    calls = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    cores = {call["pid"]: tuple(call["cores"]) for call in calls}
    assert len(set(cores.values())) == len(cores) == 2
    first, second = ([c for c in calls if c["pid"] == pid] for pid in cores)
    for one in first:
        for other in second:
            overlap = min(one["end"], other["end"]) - max(one["start"], other["start"])
            assert overlap <= 0 or one["model"] == other["model"]
    stats = report.latency["sleep-6.pb"]
    assert stats.throughput == pytest.approx(2 * 1000 / stats.mean)
    assert len(stats.samples_ms) >= 24


def test_each_runtime_has_processes_of_its_own_on_the_same_cores(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    models = {"a": "sleep-2.pb", "b": "sleep-2.pb", "c": "sleep-4.pb"}
    runtimes = {"a": "one", "b": "two", "c": "one"}
    report = benchmark(
        models, iterations=6, warmup=1, cores_per_instance=1, loader=LOADER, runtimes=runtimes
    )
    calls = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    processes = {(call["runtime"], call["pid"]) for call in calls}
    assert sorted(runtime for runtime, _ in processes) == ["one", "two"]
    assert {call["model"] for call in calls if call["runtime"] == "two"} == {"sleep-2"}
    assert {tuple(call["cores"]) for call in calls} == set(report.cores)
    assert report.runtimes == runtimes
    assert report.to_dict()["models"]["b"]["runtime"] == "two"
    assert report.renamed("a", "b").runtimes == {"b": "one", "c": "one"}
    # A turn ends before the next one begins, in whichever process.
    times = sorted((call["start"], call["end"]) for call in calls)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(times))
    assert len(report.latency["b"].samples_ms) >= 6


def test_what_cannot_be_run_is_left_out_and_told():
    models = {name: f"{name}.pb" for name in ("missing", "sleep-1", "defect", "dies")}
    report = benchmark(
        models,
        iterations=6,
        warmup=1,
        loader=LOADER,
        runtimes={"dies": "another"},
        skip_failing=True,
    )
    assert list(report.latency) == ["sleep-1"] and report.baseline == "sleep-1"
    assert report.failed["missing"] == "cannot read the model missing.pb"
    assert "RuntimeError: no such kernel" in report.failed["defect"]
    assert "was ended by SIGSEGV while loading the models" in report.failed["dies"]
    assert set(report.to_dict()["failed"]) == {"missing", "defect", "dies"}
    with pytest.raises(ModelError, match=r"^cannot read the model missing\.pb$"):
        benchmark({"x": "missing.pb"}, loader=LOADER, skip_failing=True)


def test_the_cpu_time_is_that_of_all_processes_and_of_threads_that_go_on():
    models = {"a": "spin-300.pb", "b": "sleep-1.pb"}
    job = Job(models=models, cores=(), threads=1, runtimes={"a": "one"}, loader=LOADER)
    with worker_pool(job.by_runtime(), timeout=60) as pool:
        pool.warm_up("b", 1)
        before = pool.cpu_seconds()
        pool.warm_up("a", 1)
        pool.warm_up("b", 1)
        # By and by, although the process of "a" is given no further turn.
        wait_for(lambda: pool.cpu_seconds() - before > 0.3)
        assert pool.cpu_seconds() - before < 3


def test_output_of_native_code_does_not_disturb_the_answers():
    assert len(run("print.pb").latency["print.pb"].samples_ms) >= 12


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "crash.pb",
            r"was ended by SIGSEGV while running 'crash\.pb'\.\n.*\n  last words of the kernel",
        ),
        ("killed.pb", "SIGKILL, usually because memory ran out.* fewer instances"),
        ("defect.pb", "running 'defect.pb' failed with RuntimeError: no such kernel$"),
    ],
)
def test_a_failing_process_is_one_clear_error(model, message):
    with pytest.raises(BenchmarkError, match=message):
        run("sleep-1.pb", model)


def test_errors_of_the_loader_keep_their_type_and_text():
    with pytest.raises(ModelError, match=r"^cannot read the model missing\.pb$"):
        run("missing.pb")


def test_a_process_that_hangs_times_out_and_is_killed(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_PID", str(tmp_path / "pid"))
    with pytest.raises(BenchmarkError, match="did not answer within 2 s while running 'hang.pb'"):
        run("hang.pb", timeout=2)
    assert_gone(int((tmp_path / "pid").read_text()))


def test_ctrl_c_leaves_no_process_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_PID", str(tmp_path / "pid"))
    # Where the tests run in the background SIGINT is ignored, and a child would inherit that.
    code = (
        "import signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lpot_examples.benchmark.runner import benchmark\n"
        f"benchmark(['hang.pb'], loader={LOADER!r})\n"
    )
    root = str(HERE.parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), root))}
    parent = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True
    )
    pid = wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    parent.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in parent.communicate(timeout=10)[1]
    assert_gone(int(pid))


def test_a_killed_parent_leaves_no_process_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("STAND_IN_LOG", str(tmp_path / "log"))
    code = (
        "from lpot_examples.benchmark.runner import benchmark\n"
        f"benchmark(['sleep-5.pb'], iterations=100000, loader={LOADER!r})\n"
    )
    root = str(HERE.parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join((str(HERE), root))}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment)
    log = tmp_path / "log"
    line = wait_for(lambda: log.exists() and log.read_text().partition("\n")[0])
    parent.kill()
    parent.wait()
    assert_gone(json.loads(line)["pid"])


def test_compare_names_models_and_keeps_to_its_budget():
    models = {"fp32": Path("sleep-4.pb"), "int8": Path("sleep-2.pb")}
    report = compare(models, seconds=1.2, threads=1, loader=LOADER)
    assert 1.4 < report.speedup("int8").value < 2.4
    assert list(report.latency) == ["fp32", "int8"]
    assert report.models == {"fp32": "sleep-4.pb", "int8": "sleep-2.pb"}
    assert report.seconds < 6


def test_cores_are_shared_out_disjointly(monkeypatch):
    monkeypatch.setattr(runner, "available_cores", lambda: (0, 2, 4, 6, 1))
    assert share_cores(1, None) == [(0, 2, 4, 6, 1)]
    assert share_cores(2, None) == [(0, 2), (4, 6)]
    assert share_cores(5, 1) == [(0,), (2,), (4,), (6,), (1,)]
    message = r"2 instance\(s\) of 3 core\(s\) need 6 cores, but this process may use 5"
    with pytest.raises(BenchmarkError, match=message):
        share_cores(2, 3)
    with pytest.raises(BenchmarkError, match="need 6 cores"):
        share_cores(6, None)
    with pytest.raises(BenchmarkError, match="at least 1"):
        share_cores(0, None)


def test_models_are_named_by_file_unless_that_is_ambiguous():
    assert list(named(["a/x.pb", "b/y.pb"])) == ["x.pb", "y.pb"]
    assert list(named(["a/x.pb", "b/x.pb"])) == ["a/x.pb", "b/x.pb"]
    with pytest.raises(BenchmarkError, match="given twice"):
        named(["a.pb", "a.pb"])
    with pytest.raises(BenchmarkError, match="at least one"):
        named([])


@pytest.mark.parametrize("options", [{"warmup": -1}, {"iterations": 0}, {"batch_size": 0}])
def test_impossible_numbers_are_refused_before_anything_starts(options):
    with pytest.raises(BenchmarkError, match="at least"):
        run("crash.pb", **options)


def assert_gone(pid):
    assert wait_for(lambda: not Path(f"/proc/{pid}").exists() or is_zombie(pid))


def is_zombie(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError("it did not happen in time")
