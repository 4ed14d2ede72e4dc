#!/usr/bin/env bash
# Create .venv and install the project, and the system libraries that Qt and Mesa
# need. Run by the Makefile; does nothing when all is there already.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(xvfb xauth libegl1 libgl1 libgl1-mesa-dri libopengl0 libxkbcommon-x11-0
  libxcb-cursor0 libxcb-icccm4 libxcb-keysyms1 libxcb-shape0 libxcb-image0
  libxcb-render-util0 libdbus-1-3)
python=${PYTHON:-python3}
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)

if command -v dpkg-query >/dev/null; then
  missing=()
  for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' ||
      missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ]; then
    line="apt-get install -y --no-install-recommends ${missing[*]}"
    if [ "$(id -u)" = 0 ]; then
      echo "installing system libraries: ${missing[*]}"
      apt-get update -qq
      DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null
    else
      echo "system libraries are missing; run once: sudo $line" >&2
      exit 1
    fi
  fi
fi

stamp=.venv/.installed
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ] || [ constraints.txt -nt "$stamp" ]; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  .venv/bin/python -m pip install --quiet --constraint constraints.txt pip
  .venv/bin/python -m pip install --quiet --constraint constraints.txt \
    --editable . --group dev
  touch "$stamp"
fi
