"""Serving reports of made-up figures."""

from dataclasses import replace

import numpy as np

from lpot_examples.benchmark.interleaved import Noise
from lpot_examples.benchmark.serving.layouts import Layout, Setting
from lpot_examples.benchmark.serving.load import LEVELS
from lpot_examples.benchmark.serving.result import LoadCurve, LoadPoint, Served, ServingReport
from lpot_examples.benchmark.stats import LatencyStats
from lpot_examples.host import host_info


def served(subject, layout, batch, ms, *, rounds=8, jitter=0.0, final=True):
    """A setting whose calls take ``ms``, in every second round as much longer as jitter says."""
    setting = Setting(subject, Layout(*layout), batch)
    times = tuple(np.full(4, ms * (1 + jitter * (i % 2))) for i in range(rounds))
    stats = LatencyStats(rounds_ms=times, batch_size=batch, instances=layout[0])
    return Served(setting=setting, stats=stats, final=final)


def report(found, curves=(), limit=None):
    names = list(dict.fromkeys(one.setting.subject for one in found))
    return ServingReport(
        models={name: f"{name}.file" for name in names},
        runtimes={},
        served=tuple(found),
        curves=tuple(curves),
        layouts=(),
        cores=(0, 1),
        failed={},
        remarks=(),
        noise=Noise(rounds=8, kept=8, foreign=0.0, quiet=True),
        latency_limit=limit,
        seconds=1.0,
        seed=0,
        host=host_info(),
        versions={"tensorflow": "2.21.0", "onnxruntime": "1.31.1", "openvino": "2026.4.1"},
    )


def curve(one, *p99s):
    saturation = one.throughput / one.setting.batch
    points = tuple(
        LoadPoint(
            level=level, offered=level * saturation, passes_ms=(np.linspace(0.5 * p99, p99, 100),)
        )
        for level, p99 in zip(LEVELS, p99s, strict=False)
    )
    return LoadCurve(setting=one.setting, saturation=saturation, points=points)


def large_report(count, *, limit=None):
    """Made-up figures of several models on 28 cores, with curves of the best two settings."""
    rng = np.random.default_rng(0)
    found, curves = [], []
    for index in range(count):
        name = (
            f"network-int8-{index}.onnx on {('tensorflow', 'onnxruntime', 'openvino')[index % 3]}"
        )
        own = []
        for layout in ((1, 1), (1, 28), (2, 14), (4, 7), (7, 4), (14, 2), (28, 1)):
            for batch in (1, 2, 4, 8, 16):
                one = 12.0 * 0.75**index * batch**0.93 * (1 + 3 / batch) / 4
                ms = one / layout[1] ** 0.75 * (1 + 0.01 * layout[0]) * rng.uniform(0.95, 1.05)
                own.append(served(name, layout, batch, ms, jitter=0.2, final=False))
        ranked = sorted(own, key=lambda one: -one.throughput)
        picked = [ranked[0], next(one for one in ranked if one.setting.batch == 1)]
        for one in picked:
            wait = [one.stats.mean * (1.05 + 0.15 * level / (1 - level)) for level in LEVELS]
            curves.append(curve(one, *wait))
        again = {one.setting for one in (*picked, *ranked[:3])}
        found += [replace(one, final=one.setting in again) for one in own]
    return report(found, curves, limit)
