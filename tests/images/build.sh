#!/usr/bin/env bash
# Makes the images that tests build on, once per machine. See README.md beside this file.
#
# usage: build.sh [python] [r]        (neither means both)
#
# Says on standard error what it makes and what it reuses; prints the tag of each image on standard output.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/dagkit/images
suite=trixie
public_base=debian:$suite-slim
ca_bundle=/etc/ssl/certs/ca-certificates.crt
[ -f "$ca_bundle" ] || ca_bundle=/etc/ssl/cert.pem # macOS

say() { echo "images: $*" >&2; }
fail() {
  say "$*"
  exit 1
}
have_image() { docker image inspect "$1" >/dev/null 2>&1; }

# The base: Debian's public image where an image registry answers, else the same thing made from Debian's packages.
make_base() {
  local tag=$1 tarball root
  tarball=$cache/debian-$suite-$(dpkg --print-architecture 2>/dev/null || uname -m).tar
  if have_image "$tag"; then
    say "reuse $tag"
    return
  fi
  if [ ! -f "$tarball" ] && docker pull --quiet "$public_base" >/dev/null 2>&1; then
    say "pulled $public_base"
    docker tag "$public_base" "$tag"
    return
  fi
  if [ ! -f "$tarball" ]; then
    command -v debootstrap >/dev/null ||
      fail "cannot pull $public_base, and debootstrap is not installed: apt-get install debootstrap"
    [ "$(id -u)" = 0 ] || fail "cannot pull $public_base, and debootstrap needs root: run this as root once"
    say "cannot pull $public_base: making it with debootstrap (about half a minute)"
    root=$(mktemp -d "$cache/root.XXXXXX")
    if ! debootstrap --variant=minbase "$suite" "$root" >"$cache/debootstrap.log" 2>&1; then
      rm -rf "$root"
      fail "debootstrap failed: $(tail -n 1 "$cache/debootstrap.log") (all of it: $cache/debootstrap.log)"
    fi
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    tar --create --one-file-system --numeric-owner --directory "$root" --file "$tarball.part" .
    mv "$tarball.part" "$tarball"
    rm -rf "$root"
  else
    say "reuse $tarball"
  fi
  docker import --change 'CMD ["bash"]' "$tarball" "$tag" >/dev/null
  say "made $tag"
}

# One image from one folder. The tag carries a hash of all that goes into it, so a changed recipe is a new image.
make_image() {
  local name=$1 version=$2 recipe context tag log
  recipe=$(cat "$here/build.sh" "$here/$name/Dockerfile" "$ca_bundle" | git hash-object --stdin | cut -c1-12)
  tag=dagkit-test/$name:$version-$recipe
  if have_image "$tag"; then
    say "reuse $tag"
  else
    make_base "dagkit-test/debian:$suite"
    say "making $tag (about a minute)"
    context=$(mktemp -d "$cache/context.XXXXXX")
    log=$cache/$name.log
    cp "$here/$name/Dockerfile" "$context/"
    cp "$ca_bundle" "$context/ca-certificates.crt"
    if ! docker build --tag "$tag" --build-arg BASE_IMAGE="dagkit-test/debian:$suite" "$context" >"$log" 2>&1; then
      rm -rf "$context"
      tail -n 20 "$log" >&2
      fail "docker build of $tag failed (all of it: $log)"
    fi
    rm -rf "$context"
  fi
  docker tag "$tag" "dagkit-test/$name:$version"
  echo "$tag"
}

command -v docker >/dev/null || fail "no docker command found: install Docker (Debian: apt-get install docker.io)"
docker version >/dev/null 2>&1 || fail "no Docker engine answers: start it (as root: dockerd &), then run this again"
[ -f "$ca_bundle" ] || fail "no CA bundle found: apt-get install ca-certificates"
mkdir -p "$cache"
exec 9>"$cache/lock"
! command -v flock >/dev/null || flock 9 # two test sessions on one machine make an image once

[ $# -gt 0 ] || set -- python r
for name in "$@"; do
  case $name in
  python) make_image python 3.13 ;;
  r) make_image r 4.5 ;;
  *) fail "no image is called '$name': python and r are" ;;
  esac
done
