#!/bin/sh
# Unpacks the stand-in servers of deps/standins.txt, with what they need and this machine lacks, into DEST/root.
# Installs nothing, starts nothing, writes only below DEST. Works as root and as an ordinary user. A second run with the same
# list is a no-op (DEST/stamp). Downloads stay in DEST/debs, so that a changed list fetches only what is new.
#
#   usage: unpack.sh DEST [LIST]      exit 0 done, 1 failed, 2 usage
set -eu

case $# in 1|2) ;; *) echo "usage: unpack.sh DEST [LIST]" >&2; exit 2 ;; esac
here=$(cd "$(dirname "$0")" && pwd)
list=${2:-$here/../deps/standins.txt}
mkdir -p "$1/debs/partial"
dest=$(cd "$1" && pwd)
# overlayfs takes the path inside an option string, where ':' and ',' separate.
case $dest in *[:,]*) echo "unpack: the path $dest has a ':' or ','; an overlay mount cannot use it" >&2; exit 2 ;; esac

wanted=$(sed 's/#.*//' "$list" | tr -s ' \t\n' '\n' | sed '/^$/d' | sort -u)
stamp=$({ echo "$wanted"; cat "$here/unpack.sh"; } | sha256sum | cut -c1-64)
if [ -d "$dest/root" ] && [ "$(cat "$dest/stamp" 2>/dev/null || :)" = "$stamp" ]; then exit 0; fi

export LC_ALL=C DEBIAN_FRONTEND=noninteractive
log=$dest/unpack.log
: >"$log"
# An own cache directory: no lock and no write below /var. The private package lists are a second try, for a machine whose
# lists are missing or older than the archive.
apt_common="-q -o APT::Sandbox::User= -o Debug::NoLocking=1 -o Dir::Cache=$dest/apt/cache -o Dir::Cache::archives=$dest/debs -o Acquire::Retries=3"
apt_private="$apt_common -o Dir::State=$dest/apt/state -o Dir::State::status=/var/lib/dpkg/status"
mkdir -p "$dest/apt/cache" "$dest/apt/state/lists/partial"

# Prints NAME=VERSION for each package to unpack. --reinstall: a listed package is unpacked even where it is installed, so
# that the demo's servers do not depend on what else this machine has.
closure() {
  apt-get $1 -s --reinstall --no-install-recommends install $wanted 2>>"$log" |
    sed -n 's/^Inst \([^ ]*\) .*(\([^ ]*\) .*/\1=\2/p' | sort -u
}
fetch() {
  packages=$(closure "$1")
  [ -n "$packages" ] || return 1
  # Every listed package must be among them: apt leaves a listed one out when it cannot be had.
  for p in $wanted; do
    case "
$packages" in *"
$p="*) ;; *) echo "unpack: no candidate for $p" >>"$log"; return 1 ;; esac
  done
  missing=
  for p in $packages; do
    # apt writes ':' in a version as %3a in the file name.
    pattern=$(echo "$p" | sed 's/=/_/; s/:/%3a/g')
    ls "$dest/debs/$pattern"_*.deb >/dev/null 2>&1 || missing="$missing $p"
  done
  [ -z "$missing" ] || (cd "$dest/debs" && apt-get $1 download $missing >>"$log" 2>&1)
}
if fetch "$apt_common"; then :; else
  echo "unpack: trying again with fresh package lists" >>"$log"
  if apt-get $apt_private update >>"$log" 2>&1 && fetch "$apt_private"; then :; else
    echo "unpack: could not fetch the stand-in servers; the last lines of $log:" >&2
    tail -n 5 "$log" >&2
    exit 1
  fi
fi

new=$dest/root.new
rm -rf "$new"
mkdir -p "$new/usr/bin" "$new/usr/sbin" "$new/usr/lib" "$new/usr/lib64" "$new/etc"
# The merged /usr of Debian 12: /bin, /sbin, /lib are links, and packages still carry files below them.
for d in bin sbin lib lib64; do ln -s "usr/$d" "$new/$d"; done
for p in $packages; do
  pattern=$(echo "$p" | sed 's/=/_/; s/:/%3a/g')
  for deb in "$dest/debs/$pattern"_*.deb; do
    dpkg-deb --fsys-tarfile "$deb" |
      tar -x -C "$new" --keep-directory-symlink --no-same-owner --delay-directory-restore 2>>"$log"
  done
done
# Unpacked files are ours alone: no set-id bits, and all of them readable by the daemons' single user.
find "$new" -type f -perm /6000 -exec chmod u-s,g-s {} +
chmod -R u+rwX,go+rX,go-w "$new"
rm -rf "$new/usr/share/doc" "$new/usr/share/man" "$new/usr/share/locale" "$new/usr/share/lintian"
rm -rf "$dest/root"
mv "$new" "$dest/root"
rm -rf "$dest/apt"
echo "$stamp" >"$dest/stamp"
echo "unpacked $(echo "$packages" | wc -l) packages, $(du -sm "$dest/root" | cut -f1) MiB" >>"$log"
