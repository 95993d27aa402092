# Targets: demo, test, check, bench, study, cardiac, guides, latent, house, priors, results-table. Each makes the
# environment it needs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Data for training, benchmarks and some tests; everything else works without.
export VERISCALE_DATA ?= $(abspath ../shared/data)

.PHONY: demo test check format bench parents study cardiac guides latent house priors results-table clean

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The two stamps hold what was installed: the library alone, and the tools of a developer.
$(VENV)/core: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/pip install -q -c constraints.txt -e .
	$(BIN)/pip install -q -c constraints.txt --no-deps scikit-image   # for its photographs
	touch $@

$(VENV)/dev: pyproject.toml constraints.txt | $(VENV)/core
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

# A photograph, degraded and restored at three positions of the dial, with the spread of eight draws, a mask of what can
# be trusted, and a report. The crop is the certificate's unit: 80 pixels of the measurement, 320 of the result.
demo: $(VENV)/core
	mkdir -p demo
	photo=$$($(BIN)/python -c "import importlib.util as u; print(u.find_spec('skimage').submodule_search_locations[0])")/data/coffee.png
	$(BIN)/veriscale degrade "$$photo" --operator downsample:factor=4,kernel=bicubic -o demo/small.png --force
	$(BIN)/veriscale restore demo/small.png --crop 35,10,80,80 --dial 0,0.5,1 --samples 8 \
		--certificate photo_x4_dial-0_area --alpha 0.05 --report -o demo --force
	echo "Open $(CURDIR)/demo/small_x4_report.html in a browser; the pictures lie beside it."

test: $(VENV)/dev
	$(BIN)/python -m pytest

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

BENCHMARKS := oracles physics_laws oracle_anchor oracle_posterior cli_help photo_race photo_psnr photo_denoise photo_steps photo_dial \
	photo_flat zeroshot_tuning zeroshot zeroshot_noise zeroshot_spread zeroshot_path zeroshot_alarm zeroshot_input \
	zeroshot_memory door_denoiser door_operator door_foreign restore_scaling restore_speed restore_determinism \
	net_speed trust_loo trust_violation trust_mapie trust_speed trust_drift trust_tuning trust_useful trust_real \
	trust_blackbox trust_shipped input_kinds scan_inplane scan_through scan_world scan_dicom scan_report scan_head \
	stages mri_draws mri_stages

bench: $(VENV)/dev
	for name in $(BENCHMARKS); do $(BIN)/python benchmarks/$$name.py; done
	$(MAKE) results-table

# Small parents of both studies, which lie in benchmarks/parents, trained again, resumed where they were left.
parents: $(VENV)/dev
	mkdir -p build/study
	recipes/study/train.sh $(BIN)/veriscale build/study
	mkdir -p benchmarks/parents
	for name in source domain long rate; do \
		cp build/study/study-$$name.safetensors benchmarks/parents || exit 1; \
	done

# A prior from few patients: about sixty small runs: hours.
study: $(VENV)/dev
	$(BIN)/python benchmarks/few_shot.py
	$(MAKE) results-table

# The prior for hearts on patients whom it has not seen, its certificate, what training its like takes, and what it would
# be without heads: hours.
cardiac: build/mri-source.safetensors | $(VENV)/dev
	for name in cardiac cardiac_certificate stages_cost few_shot_shipped; do $(BIN)/python benchmarks/$$name.py; done
	$(MAKE) results-table

# Other contrasts as guides: about fifty small runs, with the unguided priors of folds; it tells the pace first: hours.
guides: $(VENV)/dev
	$(BIN)/python benchmarks/guides.py
	$(MAKE) results-table

# The prior for latent work and those that it is compared with (resumed where they were left), then its numbers: hours.
latent: $(VENV)/dev
	mkdir -p build
	for name in latent latent-taef2 ddpm; do
		test -e build/$$name || $(BIN)/veriscale train recipes/$${name/-/_}.toml --resume -o build/$$name
	done
	test -e docs/results/latent_tuning.json || $(BIN)/python benchmarks/latent_tuning.py
	$(BIN)/python benchmarks/latent.py
	$(MAKE) results-table

# What a change of the code's shape must not change, and that shape, against the checkout in the folder BEFORE; COMMITS
# are the examples that house_settings.py counts the files of.
house: $(VENV)/dev
	$(BIN)/python benchmarks/house_bytes.py --before "$(BEFORE)" --after .
	$(BIN)/python benchmarks/house_path.py --before "$(BEFORE)" --after .
	$(BIN)/python benchmarks/house_settings.py --before "$(BEFORE)" --after . $(COMMITS)

# Every shipped file from its recipe, then what hangs on it: training (resumed where it was left, anew where a parent is
# another since), the certificates, the numbers, the pictures.
PRIORS := src/veriscale/priors
priors: $(PRIORS)/photo.safetensors $(PRIORS)/mri.safetensors $(PRIORS)/cardiac.safetensors $(PRIORS)/mri-guided.safetensors
	$(MAKE) bench cardiac
	$(BIN)/python benchmarks/guides.py shipped
	$(MAKE) results-table
	$(BIN)/python benchmarks/picture.py
	$(BIN)/python benchmarks/mask_picture.py
	$(BIN)/python benchmarks/curve.py

$(PRIORS)/photo.safetensors: recipes/photo.toml build/photo-first.safetensors build/photo-long.safetensors | $(VENV)/dev
	$(BIN)/python recipes/outdated_state.py build/photo.training.safetensors build/photo-first.safetensors build/photo-long.safetensors
	VERISCALE_PRIORS=build $(BIN)/veriscale train $< --resume -o build/photo.safetensors --force
	cp build/photo.safetensors $@
	recipes/certificates.sh $(BIN)/veriscale

# Days on two cores without matrix units. What photo goes on from: its encoder and predictor from the first, its denoiser from the long one.
build/photo-first.safetensors: recipes/photo_first.toml
build/photo-long.safetensors: recipes/photo_long.toml
build/photo-%.safetensors: | $(VENV)/dev
	mkdir -p build
	$(BIN)/veriscale train recipes/photo_$*.toml --resume -o $@ --force

# Its first stage alone is kept for benchmarks/mri_stages.py, and the whole goes on from the state of that.
$(PRIORS)/mri.safetensors: recipes/mri.toml recipes/splits.toml build/mri-source.safetensors | $(VENV)/dev
	$(BIN)/python recipes/outdated_state.py build/mri.training.safetensors $(PRIORS)/photo.safetensors
	test -e build/mri.training.safetensors || cp build/mri-source.training.safetensors build/mri.training.safetensors
	VERISCALE_PRIORS=$(PRIORS) $(BIN)/veriscale train $< --resume -o build/mri.safetensors --force
	cp build/mri.safetensors $@

build/mri-source.safetensors: recipes/mri_source.toml $(PRIORS)/photo.safetensors | $(VENV)/dev
	mkdir -p build
	$(BIN)/python recipes/outdated_state.py $(@:.safetensors=.training.safetensors) $(PRIORS)/photo.safetensors
	VERISCALE_PRIORS=$(PRIORS) $(BIN)/veriscale train $< --resume -o $@ --force

# Its certificate is of the patients of the pool whom it was not trained on.
$(PRIORS)/cardiac.safetensors: recipes/cardiac.toml $(PRIORS)/mri.safetensors | $(VENV)/dev
	$(BIN)/python recipes/outdated_state.py build/cardiac.training.safetensors $(PRIORS)/mri.safetensors
	VERISCALE_PRIORS=$(PRIORS) $(BIN)/veriscale train $< --resume -o build/cardiac.safetensors --force
	cp build/cardiac.safetensors $@
	$(BIN)/python recipes/cardiac_certificate.py build/cardiac.safetensors $(PRIORS)/cardiac_x4_dial-0_area.json

# Guides of T2 by the other contrasts, around it.
$(PRIORS)/mri-guided.safetensors: recipes/mri_guided.toml recipes/splits.toml $(PRIORS)/mri.safetensors | $(VENV)/dev
	$(BIN)/python recipes/outdated_state.py build/mri-guided.training.safetensors $(PRIORS)/mri.safetensors
	VERISCALE_PRIORS=$(PRIORS) $(BIN)/veriscale train $< --resume -o build/mri-guided.safetensors --force
	cp build/mri-guided.safetensors $@

results-table: $(VENV)/dev
	$(BIN)/python benchmarks/table.py

clean:
	rm -rf $(VENV) build demo
