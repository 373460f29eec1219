"""Reports to draw: of every kind that a run can end with, and of names that mean harm."""

import random

HOSTILE = "<script>alert(1)</script>\"'&amp; 日本語/\u202eevil \ud800"


def trial(index, *, score, fp32=(), met=None, error="", **more):
    loss = None if score is None else 0.8 - score
    return {
        "index": index,
        "config": {
            "fp32": list(fp32),
            "activation_algorithm": "minmax",
            "weight_algorithm": "mse",
            "equalization": 0.5,
            "bias_correction": True,
        },
        "score": score,
        "loss": loss,
        "allowance": 0.008,
        "met": (loss is not None and loss <= 0.008) if met is None else met,
        "seconds": 1.5,
        "evaluated": 1.0,
        "error": error,
        "costs": {},
        **more,
    }


def op(name, *, group=None, precision="int8", reason="a kernel"):
    group = name if group is None else group
    return {
        "name": name, "type": "Conv2D", "group": group, "precision": precision, "reason": reason
    }  # fmt: skip


def timing(p50):
    return {
        "p50": p50, "p90": 1.2 * p50, "p99": 2 * p50, "mean": 1.1 * p50, "throughput": 1000 / p50
    }  # fmt: skip


def latency_map(times, *, crossings=(), rest=0.0):
    """A map of groups; name to (int8, fp32)."""
    return {
        "units": [
            {"name": name, "group": True, "int8": int8, "fp32": fp32}
            for name, (int8, fp32) in times.items()
        ],
        "crossings": list(crossings),
        "rest": rest,
        "batch": 1,
    }


LATENCY = {
    "measured": True,
    "fp32": timing(4.0),
    "int8": timing(2.5),
    "speedup": 1.6,
    "speedup_interval": {"low": 1.5, "high": 1.7, "confidence": 0.957},
    "faster_than_fp32": True,
    "slower_than_fp32": False,
    "batch_size": 1,
    "noise": {"quiet": True, "remark": "1 of 31 rounds left out."},
}
NO_LATENCY = {"measured": False, "fp32": None, "int8": None, "speedup": None}


def report(*, history=None, shipped=1, name="net", ops=None, latency=LATENCY, **more):
    history = [trial(1, score=0.797)] if history is None else history
    best = next((one for one in history if one["index"] == shipped), None)
    met = best["met"] if best else None
    loss = best["loss"] if best else None
    return {
        "model": {"name": name, "path": "out/net-int8.pb", "sha256": "ab" * 32},
        "source": {"path": "net.pb", "sha256": "cd" * 32},
        "engine": "lpot",
        "accuracy": {
            "checked": best is not None,
            "metric": "top-1" if best else None,
            "samples": 500,
            "fp32": 0.8 if best else None,
            "int8": best["score"] if best else None,
            "drop_relative": None if loss is None else loss / 0.8,
            "drop_absolute": loss,
            "criterion": {
                "relative": 0.01, "absolute": None, "higher_is_better": True,
                "text": "at most 1 % relative loss",
            },
            "met": met,
        },
        "search": {
            "strategy": "bisection",
            "strategy_requested": "bisection",
            "complete": True,
            "sessions": 1,
            "shipped": shipped,
            "trials": len(history),
            "full_evaluations": len(history) + 1,
            "seconds": 7.2,
            "history": history,
        },
        "latency_ms": latency,
        "size_bytes": {"fp32": 1_300_000, "int8": 400_000},
        "ops": [op(f"conv{i}") for i in range(8)] if ops is None else ops,
        "config": best["config"] if best else {},
        "calibration": {
            "samples": 64, "activation_algorithm": "minmax", "weight_algorithm": "mse"
        },
        "host": {"cpu": "A CPU", "isa": "avx2", "cpu_isa": "avx512_vnni", "threads": 2},
        "exact_on": {
            "instruction_sets": {"avx2": False, "avx512_vnni": True},
            "groups_that_may_saturate_elsewhere": 3,
        },
        "versions": {"tensorflow": "2.21.0"},
        "seed": 7,
        "spec": {"model": {"name": name}},
        "run": {"command": "lpot_examples tune --topology=net", "written": "2026-11-21 10:00 UTC"},
        **more,
    }  # fmt: skip


def many_trials():
    """A hundred trials; some failed, one was stopped early."""
    dice = random.Random(3)
    names = [f"conv{i}" for i in range(30)]
    history = []
    for index in range(1, 101):
        kept = dice.sample(names, dice.randint(0, 20))
        score = 0.78 + 0.015 * min(1, len(kept) / 8) + dice.gauss(0, 0.002)
        costs = {"performance": 2 + 0.1 * len(kept)}
        history.append(trial(index, score=score, fp32=kept, costs=costs))
    history[40] = trial(41, score=None, error="eval_func raised ValueError: <b>no</b>")
    history[41] = trial(42, score=None, stopped_early={"bound": 0.03})
    best = min((t for t in history if t["met"]), key=lambda t: len(t["config"]["fp32"]))
    sure = {
        "low": -0.002, "high": 0.012, "relative": {"low": -0.0025, "high": 0.015}, "level": 0.95,
        "method": "paired BCa bootstrap", "samples": 500, "spread": 0.0, "verdict": "undecided",
        "text": "the validation set is too small to be sure",
    }  # fmt: skip
    kept = set(best["config"]["fp32"])
    made = report(
        history=history,
        shipped=best["index"],
        ops=[op(name, precision="fp32" if name in kept else "int8") for name in names],
    )
    made["accuracy"] |= {"interval": sure, "certainty": sure["text"]}
    made["search"]["sensitivity"] = {name: dice.random() for name in names}
    made["search"]["latency_map"] = latency_map(
        {name: (0.5 * (time := dice.random()), time) for name in names}
    )
    return made


def metric(name, fp32, int8, *, higher=True, relative=0.01, weight=None):
    loss = fp32 - int8 if higher else int8 - fp32
    return {
        "name": name, "fp32": fp32, "int8": int8, "loss": loss, "loss_relative": loss / fp32,
        "allowance": relative * fp32, "weight": weight, "met": loss <= relative * fp32,
        "criterion": {
            "relative": relative, "absolute": None, "higher_is_better": higher,
            "text": f"at most {100 * relative:g} % relative loss",
        },
    }  # fmt: skip


def several(*, weights=(None, None)):
    """Two metrics, the second an error; least memory wins; trials differ in their settings."""
    history = []
    for index, (top, error, fp32, equalization) in enumerate(
        [(0.79, 0.26, (), 0.5), (0.795, 0.254, ("conv1",), 0.0), (0.797, 0.251, ("conv1",), 0.5)], 1
    ):
        used = max((0.8 - top) / 0.008, (error - 0.25) / 0.005)
        costs = {"modelsize": 4e5 * index} | ({"footprint": 3e8 - 1e6 * index} if used <= 1 else {})
        one = trial(index, score=top, fp32=fp32, met=used <= 1, costs=costs)
        one["config"] |= {"equalization": equalization, "samples": 64}
        history.append(one | {"scores": {"topk": top, "MSE": error}, "loss": 0.008 * used})
    made = report(history=history, shipped=3)
    text = "topk: at most 1 % relative loss; MSE: at most 2 % relative loss"
    metrics = [
        metric("topk", 0.8, 0.797, weight=weights[0]),
        metric("MSE", 0.25, 0.251, higher=False, relative=0.02, weight=weights[1]),
    ]
    unsure = "how sure the losses are is not known: intervals are for a single metric"
    made["accuracy"] |= {"metric": "topk", "met": True, "metrics": metrics, "certainty": unsure}
    made["accuracy"]["criterion"]["text"] = text
    made["search"]["objective"] = {
        "names": ["footprint", "performance"], "weights": [0.7, 0.3],
        "text": "0.7 × footprint + 0.3 × performance",
    }  # fmt: skip
    return made


def weighted():
    """Two metrics of which one may make up for the other."""
    made = several(weights=(0.8, 0.2))
    made["accuracy"]["weighted"] = {"loss": 0.0026, "allowance": 0.0074}
    made["search"]["objective"] = {"names": ["modelsize"], "weights": [], "text": "modelsize"}
    return made


def many_ops(count=2000):
    kinds = ("int8", "int8", "int8", "fp32")
    ops = [
        op(
            f"backbone/stage{i // 100}/block{i}/separable/convolution"
            if i % 7
            else f"{HOSTILE}{i}",
            group=None if i % 3 else "",
            precision=kinds[i % 4],
            reason="_FusedQuantizedConv2D: u8 input, 8-bit weights, u8 result",
        )
        for i in range(count)
    ]
    return report(ops=ops, name=HOSTILE)


def failed():
    """No int8 network met the bar; what is shipped computes in fp32."""
    history = [trial(i, score=0.5 + i / 100) for i in (1, 2, 3)]
    ops = [op(f"conv{i}", precision="fp32", reason="reverted") for i in range(8)]
    return report(history=history, shipped=3, ops=ops, latency=NO_LATENCY)


def unchecked():
    return report(history=[], shipped=None, latency=NO_LATENCY)


REPORTS = {
    "one": report,
    "hundred": many_trials,
    "large": many_ops,
    "several": several,
    "weighted": weighted,
    "failed": failed,
    "unchecked": unchecked,
    "slow": lambda: report(latency=NO_LATENCY),
}
