"""The same class on a Dask cluster: two workers of their own, TLS, one of them killed midway."""

import datetime
import ipaddress
import os
import signal
import subprocess
import sys
import time
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
from grader.runners import cluster
from grader.sandbox import Limits
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


@pytest.fixture(scope="module")
def scheduler(certificates, tmp_path_factory):
    """Address of a scheduler, and its two workers."""
    note = tmp_path_factory.mktemp("scheduler") / "file.json"
    common = ["--protocol", "tls", "--host", "127.0.0.1"]
    processes = [
        start(
            certificates, "dask_scheduler", *common, "--port", "0", "--no-dashboard",
            "--scheduler-file", str(note),
        )
    ]  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not note.exists():
            assert time.monotonic() < deadline, "the scheduler does not start"
            time.sleep(0.1)
        for _ in range(2):
            processes.append(
                start(
                    certificates, "dask_worker", "--scheduler-file", str(note), *common,
                    "--nthreads", "1", "--no-nanny", "--no-dashboard",
                )
            )  # fmt: skip
        yield engine_address(note), processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def engine_address(note: Path) -> str:
    import json

    return json.loads(note.read_text())["address"]


def test_a_class_is_graded_although_a_worker_is_killed(scheduler, certificates, tmp_path):
    address, workers = scheduler
    assert address.startswith("tls://127.0.0.1:")
    classroom = Classroom(tmp_path)
    release = classroom.prepare(UNIT)
    perfect = demo.perfect_student(UNIT)
    for name in STUDENTS:
        demo.submit(classroom, UNIT, demo.renamed(perfect, name), release)
    wait_for_workers(address, certificates, 2)
    how = engine.Options(scheduler=address, tls=certificates)
    scores = {}
    for result in engine.grade(classroom, [(name, UNIT) for name in STUDENTS], how):
        scores[result.student] = result.score
        if len(scores) == 2:
            workers[0].send_signal(signal.SIGKILL)
    assert scores == {name: 7.0 for name in STUDENTS}


def wait_for_workers(address: str, certificates: Path, count: int) -> None:
    from distributed import Client

    from grader.runners import _certificates, _security

    with Client(address, security=_security(_certificates(certificates))) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.mark.parametrize("address", ["tcp://10.0.0.5:8786", "tcp://grading.example:8786"])
def test_what_is_not_encrypted_is_refused(address):
    with pytest.raises(Problem, match="is not encrypted: start the scheduler with TLS"):
        cluster(address, Limits()).__enter__()


def test_missing_certificates_and_silent_schedulers_are_one_line(tmp_path):
    with pytest.raises(Problem, match=r"there is no .*ca.pem: say with --tls"):
        cluster("tls://127.0.0.1:1", Limits(), tmp_path).__enter__()
    with pytest.raises(Problem, match=r"no scheduler answers at tcp://127\.0\.0\.1:1"):
        cluster("tcp://127.0.0.1:1", Limits(), patience=1).__enter__()
