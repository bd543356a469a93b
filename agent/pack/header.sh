#!/bin/sh
# Hearth's agent in one file: this script, then a gzip'd tar of Deno, the agent and its database addon. The first
# start checks that archive's SHA-256 and unpacks it beside this file, or into a cache where that is not writable;
# every start then becomes the agent by exec, so that signals and the exit code are the agent's own.
set -eu
sum=@SUM@
first_line=@FIRST_LINE@

self=$(readlink -f -- "$0")
name=$(basename -- "$self")

fail() {
  echo "$name: $1" >&2
  exit 70
}

archive() {
  tail -n "+$first_line" -- "$self"
}

digest() {
  if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi | cut -c 1-64
}

# Only a directory of this user's or root's own, that nobody else can write, is run from.
is_trusted() {
  [ -d "$1" ] && [ ! -L "$1" ] || return 1
  set -- $(ls -ldn -- "$1")
  case $1 in ?????w* | ????????w*) return 1 ;; esac
  [ "$3" = 0 ] || [ "$3" = "$(id -u)" ]
}

# What is unpacked gets its name by one move, so a half unpacked one is never run. Of two first starts at once the
# second moves its copy into the first's, where it is removed again.
unpack_into() {
  mkdir -p -- "$1" 2>/dev/null && fresh=$(mktemp -d "$1/.$name-new.XXXXXX" 2>/dev/null) || return 1
  trap 'rm -rf -- "$fresh"' EXIT
  trap 'exit 143' HUP INT TERM
  [ "$(archive | digest)" = "$sum" ] || fail "$self is damaged: its SHA-256 is not the expected one. Download it again."
  archive | gzip -dc | tar -xof - -C "$fresh" || fail "could not be unpacked into $1. Is there room for 120 MB?"
  chmod 755 "$fresh"
  mv -- "$fresh" "$place" || fail "could not be moved to $place."
  rm -rf -- "$place/$(basename -- "$fresh")"
  trap - EXIT HUP INT TERM
  for old in "$1/.$name-"????????????????; do
    [ "$old" = "$place" ] || rm -rf -- "$old"
  done
}

find_place() {
  for base in "$(dirname -- "$self")" "${HEARTH_AGENT_CACHE:-}" "${STATE_DIRECTORY:-}" "${XDG_CACHE_HOME:-${HOME:+$HOME/.cache}}"; do
    [ -n "$base" ] || continue
    place=$base/.$name-$(echo "$sum" | cut -c 1-16)
    if is_trusted "$place"; then return 0; fi
    if [ ! -e "$place" ] && unpack_into "$base" && is_trusted "$place"; then return 0; fi
  done
  return 1
}

find_place || fail "could not be unpacked: neither its own directory nor a cache is writable. Set HEARTH_AGENT_CACHE to a directory of your own."
export HEARTH_AGENT_EXECUTABLE="$self" DENO_NO_UPDATE_CHECK=1
exec "$place/deno" run -A --quiet --no-config --no-lock --no-npm --no-remote --node-modules-dir=none "$place/agent.mjs" "$@"
