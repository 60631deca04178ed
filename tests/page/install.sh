#!/bin/sh
# A browser and what drives it, into the folder $1: Debian's chromium, playwright-core, axe-core.
set -eu
mkdir -p "$1"
if ! command -v chromium >/dev/null 2>&1; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null
fi
cd "$1"
if [ ! -d node_modules/playwright-core ] || [ ! -d node_modules/axe-core ]; then
    npm install --silent --no-audit --no-fund --prefix . playwright-core@1 axe-core@4
fi
