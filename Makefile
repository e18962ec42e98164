# Half the Bits. `make help` lists what there is; every target sets up what it needs.
PYTHON ?= python3
CLASSROOM ?= classroom
UNIT ?=
# What else to tell JupyterLab, such as LAB_OPTIONS=--no-browser.
LAB_OPTIONS ?=

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.matches-lock

# nbgrader runs `alembic` by name. The path may hold spaces.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export HALFBITS_CLASSROOM := $(CLASSROOM)

.DEFAULT_GOAL := help
.PHONY: help lab check release adequacy grade grade-nbgrader feedback formgrader student-bundle demo doctor gpu-record gpu-bundle check-torch lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

lab: $(STAMP) ## open the course in JupyterLab
	cd course && JUPYTER_CONFIG_PATH="$(CURDIR)/jupyter" "$(CURDIR)/$(PY)" -m jupyterlab --LabApp.default_url=/lab/tree/00_start_here/00_start_here.ipynb $(LAB_OPTIONS)

check: $(STAMP) ## run every test (what CI runs)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m grader release --check
	$(PY) -m grader adequacy
	$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder

check-torch: ## test what measures with another torch, in an environment of its own (TORCH=2.14.1)
	sh tools/check_torch.sh "$(PYTHON)" "$(TORCH)"

release: $(STAMP) ## build course/ from solutions/
	$(PY) -m grader release

adequacy: $(STAMP) ## try every known wrong and right answer on the checks
	$(PY) -m grader adequacy $(UNIT)

grade: $(STAMP) ## grade classroom/submitted/STUDENT/UNIT/ (UNIT=01 for one unit)
	$(PY) -m grader grade $(UNIT)

grade-nbgrader: $(STAMP) ## the same with plain nbgrader: slow, and without a sandbox
	$(PY) -m grader grade --plain $(UNIT)

feedback: $(STAMP) ## write a feedback page for every graded submission
	$(PY) -m grader feedback $(UNIT)

formgrader: $(STAMP) ## open nbgrader's Formgrader on the class
	$(PY) -m grader formgrader -- $(LAB_OPTIONS)

student-bundle: $(STAMP) ## make half-the-bits.zip: what students get
	$(PY) -m grader student-bundle

demo: $(STAMP) ## take a class of sample students from release to feedback
	$(PY) -m grader demo $(UNIT)

doctor: $(STAMP) ## say what works on this machine, and how to mend what does not
	$(PY) -m halfbits.doctor
	@if [ -d grader ]; then $(PY) -m grader doctor; fi

gpu-record: $(STAMP) ## record in benchmarks/results/ what needs a GPU, on this machine's
	sh benchmarks/gpu.sh && $(PY) tools/readme.py

gpu-bundle: $(STAMP) ## write an archive that records on a machine without network (PYTHON_VERSION=3.12, MINILM=1)
	$(PY) tools/gpu_bundle.py $(if $(PYTHON_VERSION),--python $(PYTHON_VERSION)) $(if $(HAS),--has $(HAS)) $(if $(MINILM),--minilm)

lock: ## write requirements.lock anew from pyproject.toml
	sh tools/lock.sh "$(PYTHON)"

clean: ## remove the environment and caches; classroom/ stays
	rm -rf $(VENV) .built .pytest_cache .ruff_cache .hypothesis halfbits.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A half-made environment has no stamp, so the next make starts it afresh.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Half the Bits needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "Python's venv module is missing: apt-get install python3-venv, or run make PYTHON=/path/to/python" >&2; exit 1; }
	rm -rf $(VENV)
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $(STAMP)
