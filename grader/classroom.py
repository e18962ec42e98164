"""One class's folder: built units, submissions, gradebook, feedback, in nbgrader's layout."""

from __future__ import annotations

import glob
import logging
import os
import re
from pathlib import Path

import nbformat
import nbgrader.api
from nbgrader.api import Gradebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.server_extensions.formgrader.handlers import template_path as nbgrader_templates
from traitlets.config import Config, PyFileConfigLoader

from grader import build
from grader.problem import Problem
from grader.units import ROOT, Unit

CELL_TIMEOUT = 120  # seconds
CONFIG_FILE = "nbgrader_config.py"  # written anew by make formgrader
OWN_CONFIG = "class_config.py"  # the instructor's own, such as the rule for late work
TEMPLATES = Path(__file__).parent / "templates"


def default_root() -> Path:
    """``$HALFBITS_CLASSROOM``, else ``classroom/`` in the project."""
    return Path(os.environ.get("HALFBITS_CLASSROOM") or ROOT / "classroom")


class Classroom:
    """The instructor's own data; every folder is made when it is first needed.

    Raises
    ------
    Problem
        If nbgrader could not find anything in such a folder, or the class's own settings are none.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = Path(root or default_root()).resolve()
        if glob.has_magic(str(self.root)):
            raise Problem(
                f"{self.root} has one of *?[ in its path, which nbgrader takes for a "
                "pattern: choose another folder for the class (make CLASSROOM=/path/to/class)"
            )
        self.config = _nbgrader_config(self.root)
        self.config.merge(_own_config(self.root / OWN_CONFIG))
        logging.getLogger("traitlets").setLevel(logging.CRITICAL)
        self.api = NbGraderAPI(
            coursedir=CourseDirectory(config=self.config),
            config=self.config,
            log_level=logging.CRITICAL,
        )

    @property
    def submitted(self) -> Path:
        return self.root / "submitted"

    def path(self, step: str, student: str, unit: Unit) -> Path:
        """nbgrader's folder of a student's unit; ``step`` is submitted, autograded or feedback."""
        return self.root / step / student / unit.name

    def gradebook(self) -> Gradebook:
        """nbgrader's gradebook of this class, to be used in a ``with``."""
        return Gradebook(self.config.CourseDirectory.db_url, "halfbits")

    def prepare(self, unit: Unit) -> Path:
        """Build the unit, tell the gradebook its cells and points; return the release's folder."""
        source = self.root / "source" / unit.name
        source.mkdir(parents=True, exist_ok=True)
        nbformat.write(build.source_notebook(unit), source / f"{unit.name}.ipynb")
        for name, content in build.files(unit).items():
            (source / name).write_bytes(content)
        result = self.api.generate_assignment(unit.name, force=True)
        if not result["success"]:
            raise Problem(f"{unit.name} cannot be released: {last_line(result)}")
        return self.root / "release" / unit.name

    def write_config(self) -> Path:
        """Write the settings down for nbgrader's own commands and Formgrader."""
        self.root.mkdir(parents=True, exist_ok=True)
        lines = ["c = get_config()"]
        for section, settings in _nbgrader_config(self.root).items():
            lines += [f"c.{section}.{name} = {value!r}" for name, value in settings.items()]
        lines.append(f"load_subconfig({OWN_CONFIG!r})")  # which need not be there
        path = self.root / CONFIG_FILE
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path


def schema_version() -> str:
    """Which version of nbgrader's tables a new gradebook has, by nbgrader's own scripts."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    settings = Config()
    settings.set_main_option("script_location", str(Path(nbgrader.api.__file__).parent / "alembic"))
    return ScriptDirectory.from_config(settings).get_current_head()


# nbgrader runs the program `alembic` for this, which takes 2 s and has to be found by its name.
nbgrader.api.get_alembic_version = schema_version


def last_line(result: dict) -> str:
    """The line of nbgrader's log or traceback that says what went wrong."""
    text = f"{result.get('log') or ''}\n{result.get('error') or ''}"
    said = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in said if "traceback for details" not in line]
    errors = [line for line in said if re.match(r"[\w.]+: ", line)]  # as a traceback ends
    return (errors or said or ["nbgrader gave no reason"])[-1]


def _own_config(path: Path) -> Config:
    if not path.exists():
        return Config()
    try:
        return PyFileConfigLoader(path.name, str(path.parent)).load_config()
    except (Exception, SystemExit) as error:
        raise Problem(f"{path} cannot be read: {type(error).__name__}: {error}") from None


def _nbgrader_config(root: Path) -> Config:
    config = Config()
    config.CourseDirectory.root = str(root)
    config.CourseDirectory.course_id = "halfbits"
    config.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    config.Autograde.exporter_class = "grader.pages.formgrader.AutogradeExporter"
    config.Execute.timeout = CELL_TIMEOUT
    config.Execute.kernel_manager_class = "grader.pages.formgrader.Kernels"
    config.Execute.extra_arguments = ["--HistoryManager.hist_file=:memory:", "--log-level=ERROR"]
    config.GenerateFeedback.exporter_class = "grader.pages.feedback.PageExporter"
    config.GenerateFeedback.preprocessors = [
        "grader.pages.feedback.Points",
        "grader.pages.feedback.HideTests",
        "grader.pages.feedback.SafePage",
    ]
    config.HTMLExporter.preprocessors = ["grader.pages.formgrader.SafeCells"]
    config.HTMLExporter.filters = {"markdown2html": "grader.pages.cells.markdown_html"}
    config.PageExporter.preprocessors = []  # it has its own
    config.HTMLExporter.extra_template_basedirs = [str(TEMPLATES), nbgrader_templates]
    return config
