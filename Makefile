.PHONY: demo test bench setup

VENV := .venv/bin
XVFB := LIBGL_ALWAYS_SOFTWARE=1 xvfb-run -a -s "-screen 0 1600x1000x24"

# Open the sample case; without a display, drive the window and take pictures.
demo: setup
ifeq ($(HEADLESS)$(DISPLAY)$(WAYLAND_DISPLAY),)
	$(XVFB) $(VENV)/python examples/guided_tour.py demo_output
else ifneq ($(HEADLESS),)
	$(XVFB) $(VENV)/python examples/guided_tour.py demo_output
else
	$(VENV)/napari-her2 demo
endif

# Linters, types, import contracts and every test, those with a window included.
test: setup
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy
	$(VENV)/lint-imports --no-cache
	$(VENV)/npe2 validate napari-her2
	NAPARI_CONFIG= $(XVFB) $(VENV)/pytest

# Measure, and rewrite benchmarks/results.json and the table in the README.
bench: setup
	$(XVFB) $(VENV)/python benchmarks/run.py

setup:
	@tools/setup.sh
