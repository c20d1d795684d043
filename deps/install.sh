#!/usr/bin/env bash
# Installs the packages named in a list (one or more per line, # comments; "name?" only where Debian has it for this machine) that are not installed yet. Asks for sudo only if not root.
# Used by `make deps`. Only build tools, libraries and test tools: nothing in the list starts a service.
set -euo pipefail
list=$1
missing=()
optional=()
for package in $(sed 's/#.*//' "$list"); do
  # nodejs and npm may come from elsewhere; installing Debian's over them conflicts.
  case $package in
    nodejs) command -v node >/dev/null && continue ;;
    npm) command -v npm >/dev/null && continue ;;
  esac
  if [[ $package == *\? ]]; then
    package=${package%\?}
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || optional+=("$package")
    continue
  fi
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -eq 0 ] && [ ${#optional[@]} -eq 0 ] && exit 0
sudo=()
[ "$(id -u)" = 0 ] || sudo=(sudo)
"${sudo[@]}" apt-get update -q
for package in "${optional[@]}"; do
  if apt-cache show "$package" >/dev/null 2>&1; then missing+=("$package"); fi
done
[ ${#missing[@]} -eq 0 ] && exit 0
echo "installing: ${missing[*]}"
"${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
