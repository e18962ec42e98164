"""The same class on a Dask cluster: two workers of their own, TLS, one of them killed midway."""

import contextlib
import datetime
import functools
import ipaddress
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("distributed", reason="pip install '.[cluster]'")

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from grader import demo, engine, hostile
from grader.classroom import Classroom
from grader.problem import Problem
from grader.record import history
from grader.running import cluster as cluster_module
from grader.running.cluster import _certificates, _security, cluster
from grader.running.ran import Limits, Ran
from grader.units import ROOT, Unit

UNIT = Unit(hostile.FOLDER / "97_hostile")
STUDENTS = [f"student-{number:02}" for number in range(12)]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory) -> Path:
    """A throw-away authority: one certificate for everybody on this machine."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(here, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for file, content in {"ca.pem": pem, "cert.pem": pem, "key.pem": private}.items():
        (folder / file).write_bytes(content)
    return folder


def start(certificates: Path, *command: str) -> subprocess.Popen:
    tls = {"ca-file": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
    options = [x for option, file in tls.items() for x in (f"--tls-{option}", certificates / file)]
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli." + command[0], *command[1:], *options],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


@contextmanager
def running(certificates: Path, folder: Path, workers: int) -> Iterator[tuple[str, list]]:
    """Address of a scheduler with workers, and the processes, the scheduler's first."""
    note = folder / "scheduler.json"
    common = ["--protocol", "tls", "--host", "127.0.0.1"]
    alone = ["--port", "0", "--no-dashboard", "--scheduler-file", str(note)]
    one = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--scheduler-file", str(note)]
    processes = [start(certificates, "dask_scheduler", *common, *alone)]
    try:
        deadline = time.monotonic() + 60
        while not note.exists():
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.1)
        address = json.loads(note.read_text())["address"]
        processes += [start(certificates, "dask_worker", *common, *one) for _ in range(workers)]
        wait_for_workers(address, certificates, workers)
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.fixture
def classroom(tmp_path) -> Classroom:
    classroom = Classroom(tmp_path / "class")
    release = classroom.prepare(UNIT)
    perfect = demo.perfect_student(UNIT)
    for name in STUDENTS:
        demo.submit(classroom, UNIT, demo.renamed(perfect, name), release)
    return classroom


def killed_after(
    classroom: Classroom, how: engine.Options, victim: subprocess.Popen, count: int
) -> dict[str, float | None]:
    """Scores of a grading in which a process is killed after ``count`` results."""
    scores = {}
    for result in engine.grade(classroom, [(name, UNIT) for name in STUDENTS], how):
        scores[result.student] = result.score
        if len(scores) == count:
            victim.send_signal(signal.SIGKILL)
    return scores


def test_a_class_is_graded_although_a_worker_is_killed(certificates, classroom, tmp_path):
    with running(certificates, tmp_path, 2) as (address, processes):
        assert address.startswith("tls://127.0.0.1:")
        how = engine.Options(scheduler=address, tls=certificates)
        assert killed_after(classroom, how, processes[1], 2) == {name: 7.0 for name in STUDENTS}


@pytest.mark.parametrize(
    ("victim", "reason"), [(0, "the scheduler went away"), (1, "no worker is left")]
)
def test_a_cluster_that_is_gone_is_one_line_and_the_rest_is_graded_elsewhere(
    certificates, classroom, tmp_path, monkeypatch, victim, reason
):
    patient = functools.partial(cluster_module.cluster, patience=5)
    monkeypatch.setattr(cluster_module, "cluster", patient)
    with running(certificates, tmp_path, 1) as (address, processes):
        how = engine.Options(scheduler=address, tls=certificates)
        with pytest.raises(Problem, match=f"^{reason}.*: what was graded is kept"):
            killed_after(classroom, how, processes[victim], 2)
    done = [name for name in STUDENTS if history(classroom, UNIT, name)]
    assert 2 <= len(done) < len(STUDENTS)
    scores = killed_after(classroom, engine.Options(), processes[victim], 0)
    assert scores == {name: 7.0 for name in STUDENTS}
    assert [len(history(classroom, UNIT, name)) for name in STUDENTS] == [1] * len(STUDENTS)


def wait_for_workers(address: str, certificates: Path, count: int) -> None:
    from distributed import Client

    with Client(address, security=_security(_certificates(certificates))) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "tcp://grading.example:8786"])
def test_what_is_not_encrypted_is_refused(address):
    with pytest.raises(Problem, match="is not encrypted: start the scheduler with TLS"):
        cluster(address, Limits()).__enter__()


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8786", "tls://localhost", "tcp://[::1", "udp://localhost:33", "tcp://:x"]
)
def test_what_is_no_address_is_refused(address):
    with pytest.raises(Problem, match="is no scheduler's address: say tls://HOST:PORT"):
        cluster(address, Limits()).__enter__()


def test_missing_certificates_and_silent_schedulers_are_one_line(tmp_path):
    with pytest.raises(Problem, match=rf"there is no {tmp_path}/ca.pem: say with --tls"):
        cluster("tls://127.0.0.1:1", Limits(), tls=tmp_path).__enter__()
    with pytest.raises(Problem, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        cluster("tcp://127.0.0.1:1", Limits(), patience=1).__enter__()


def test_a_worker_of_several_threads_is_refused_and_told_how_to_start(monkeypatch):
    """All of its threads would use its one sandbox."""

    class Client(contextlib.nullcontext):
        status, threads = "running", {"tcp://one:1": 1, "tcp://two:2": 1}

        def get_executor(self, **_):
            return None

        def nthreads(self):
            return self.threads

        def scheduler_info(self, **_):
            return {"workers": {name: {"nthreads": count} for name, count in self.threads.items()}}

    client = Client()
    client.enter_result = client
    monkeypatch.setattr("distributed.Client", lambda *_, **__: client)
    monkeypatch.setattr(cluster_module, "LOOK", 0)
    says = "^the worker tcp://two:2 has 4 threads, and each .* start it with --nthreads 1"
    with cluster("tcp://127.0.0.1:1", Limits()) as runner:
        assert runner.slots == 2
        runner.check()
        client.threads = client.threads | {"tcp://two:2": 4}  # it comes later
        with pytest.raises(Problem, match=says):
            runner.check()
    with pytest.raises(Problem, match=says):
        cluster("tcp://127.0.0.1:1", Limits()).__enter__()


def test_a_result_whose_worker_ended_that_moment_is_asked_for_again():
    """distributed then takes it for an error and cannot read it: a TypeError."""

    class Cluster:
        status, answers = "running", [TypeError("cannot unpack"), Ran(fault="none")]

        def get_executor(self, **_):
            return self

        def submit(self, *_):
            future, answer = Future(), self.answers.pop(0)
            future.set_exception(answer) if isinstance(answer, Exception) else None
            future.set_result(answer) if isinstance(answer, Ran) else None
            return future

    runner = cluster_module.ClusterRunner(Cluster(), 1, Limits(), (), patience=1)
    assert runner.result(runner.submit({"cells": []})) == Ran(fault="none")
