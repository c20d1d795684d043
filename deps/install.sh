#!/usr/bin/env bash
# Installs the packages named in a list (one or more per line, # comments) that are not installed yet. Asks for sudo only if not root.
# Used by `make deps`. Only build tools, libraries and test tools: nothing in the list starts a service.
set -euo pipefail
list=$1
missing=()
for package in $(sed 's/#.*//' "$list"); do
  # nodejs and npm may come from elsewhere; installing Debian's over them conflicts.
  case $package in
    nodejs) command -v node >/dev/null && continue ;;
    npm) command -v npm >/dev/null && continue ;;
  esac
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get update -q
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
