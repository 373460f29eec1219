import subprocess
import sys

import pytest

from lpot_examples import cgroup, host

AVX2 = {"sse4_1", "avx", "avx2", "fma"}
AVX512 = AVX2 | {"avx512f", "avx512bw", "avx512dq", "avx512vl"}
VNNI = AVX512 | {"avx512_vnni"}
AMX = VNNI | {"avx_vnni", "amx_tile", "amx_int8", "avx512_bf16"}
ALDER_LAKE = AVX2 | {"avx_vnni"}


@pytest.mark.parametrize(
    ("flags", "cap", "isa"),
    [
        (set(), None, "generic"),
        ({"sse4_1", "avx"}, None, "avx"),
        (AVX2, None, "avx2"),
        (AVX2 - {"fma"}, None, "avx"),
        (ALDER_LAKE, None, "avx_vnni"),
        (AVX512, None, "avx512"),
        (AVX512 - {"avx512vl"}, None, "avx2"),
        (VNNI, None, "avx512_vnni"),
        (AMX, None, "amx_int8"),
        (AMX, "AVX10_1_512", "avx512_vnni"),
        (AMX, "AVX512_CORE_AMX", "amx_int8"),
        (AMX, "avx512_core", "avx512"),
        (AMX, "AVX2_VNNI", "avx_vnni"),
        (VNNI, "AVX2_VNNI_2", "avx2"),
        (VNNI, "SSE41", "sse4"),
        # AVX2_VNNI is not below AVX512_CORE_VNNI in oneDNN's partial order
        (ALDER_LAKE, "AVX512_CORE_VNNI", "avx2"),
        (AVX2, "AVX512_CORE_AMX", "avx2"),
        (VNNI, "nonsense", "avx512_vnni"),
        (VNNI, "DEFAULT", "avx512_vnni"),
    ],
)
def test_the_best_isa_is_the_least_of_cpu_and_cap(flags, cap, isa):
    assert host.best_isa(flags, cap=cap) == isa


def test_only_x86_without_dot_product_instructions_saturates():
    saturating = {n for n, isa in host.INSTRUCTION_SETS.items() if isa.u8s8_saturates}
    assert saturating == {"sse4", "avx", "avx2", "avx512"}


def test_cpuinfo_flags_are_those_of_every_cpu():
    text = "model name\t: A CPU\nflags\t\t: avx avx2 fma\n\nmodel name\t: B\nflags\t\t: avx avx2\n"
    assert host.parse_cpuinfo(text) == ("A CPU", frozenset({"avx", "avx2"}))


@pytest.mark.parametrize(
    ("onednn", "dnnl", "isa"),
    [
        (None, None, "avx512_vnni"),
        ("AVX512_CORE", None, "avx512"),
        (None, "AVX2", "avx2"),
        ("AVX512_CORE", "AVX2", "avx512"),
        ("nonsense", "AVX2", "avx512_vnni"),  # oneDNN then does not look at the old name
        ("", "AVX2", "avx2"),
    ],
)
def test_host_info_applies_the_environment_to_isa_alone(monkeypatch, onednn, dnnl, isa):
    monkeypatch.setattr(host, "_cpu_model_and_flags", lambda: ("A CPU", frozenset(VNNI)))
    for name, value in (("ONEDNN_MAX_CPU_ISA", onednn), ("DNNL_MAX_CPU_ISA", dnnl)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    info = host.host_info()
    assert (info.isa, info.cpu_isa, info.cpu) == (isa, "avx512_vnni", "A CPU")
    assert info.logical_cores >= 1 and info.physical_cores >= 1
    assert info.memory_bytes > 1 << 20
    assert info.to_dict()["flags"] == sorted(VNNI)


@pytest.mark.parametrize(
    ("flags", "value", "enabled"),
    [
        (AVX512, None, False),
        (VNNI, None, True),
        (ALDER_LAKE, None, True),
        (AVX512, "1", True),
        (VNNI, "0", False),
        (VNNI, "FALSE", False),
        (VNNI, "off", True),  # TensorFlow takes only 0, 1, false and true
    ],
)
def test_onednn_follows_the_cpu_unless_told(monkeypatch, flags, value, enabled):
    monkeypatch.setattr(host.platform, "system", lambda: "Linux")
    monkeypatch.setattr(host, "_cpu_model_and_flags", lambda: ("A CPU", frozenset(flags)))
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", value)
    assert host.onednn_enabled() is enabled


def test_one_thread_of_every_core_comes_before_second_threads(monkeypatch):
    monkeypatch.setattr(host, "_affinity", lambda: [0, 1, 2, 3])
    siblings = {0: (0, 0), 1: (0, 0), 2: (0, 1), 3: (0, 1)}
    monkeypatch.setattr(host, "_physical_ids", lambda cpus: [siblings[c] for c in cpus])
    monkeypatch.setattr(host.cgroup, "cpu_quota", lambda: None)
    assert host.available_cores() == (0, 2, 1, 3)
    monkeypatch.setattr(host.cgroup, "cpu_quota", lambda: 2.0)
    assert host.available_cores() == (0, 2)
    monkeypatch.setattr(host.cgroup, "cpu_quota", lambda: 0.2)
    assert host.available_cores() == (0,)


def test_the_tightest_cgroup_around_the_process_counts(tmp_path):
    membership = tmp_path / "membership"
    membership.write_text("0::/pod/box\n")
    for folder, quota, memory in (
        ("pod", "150000 100000", "1000"),
        ("pod/box", "max 100000", "max"),
    ):
        group = tmp_path / "mount" / folder
        group.mkdir(parents=True, exist_ok=True)
        (group / "cpu.max").write_text(quota)
        (group / "memory.max").write_text(memory)
    where = {"mount": tmp_path / "mount", "membership": membership}
    assert cgroup.cpu_quota(**where) == 1.5
    assert cgroup.memory_limit(**where) == 1000


def test_version_1_cgroups_are_read(tmp_path):
    membership = tmp_path / "membership"
    membership.write_text("4:memory:/box\n2:cpu,cpuacct:/elsewhere\n0::/\n")
    group = tmp_path / "cpu,cpuacct"
    group.mkdir()
    (group / "cpu.cfs_quota_us").write_text("50000\n")
    (group / "cpu.cfs_period_us").write_text("100000\n")
    assert cgroup.cpu_quota(mount=tmp_path, membership=membership) == 0.5
    (group / "cpu.cfs_quota_us").write_text("-1\n")
    assert cgroup.cpu_quota(mount=tmp_path, membership=membership) is None


def test_versions_are_found_without_importing_the_libraries():
    code = (
        "import sys, lpot_examples.host as h; versions = h.library_versions(); h.host_info();"
        "assert versions['numpy'] and versions['tensorflow'] and versions['python'];"
        "assert not {'numpy', 'tensorflow', 'keras'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
