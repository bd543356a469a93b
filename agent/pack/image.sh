#!/bin/sh
# Lays out the files of the container image below FOLDER, which the Dockerfile then copies to /: `image.sh FOLDER`, run
# in the repository with Deno on the PATH. The agent is unpacked here, once, so that a container starts at once, runs
# with a read-only disk, and the image holds it a single time.
set -eu
folder=${1:?name the folder that is to hold the image}
place=$folder/usr/local/bin

mkdir -p "$place" "$folder/data" "$folder/work"
deno run -A agent/pack/build.ts "$place/hearth-agent"
HEARTH_AGENT_CACHE= "$place/hearth-agent" version
# What follows the script in the executable is the archive that was just unpacked beside it.
sed '/^exec /q' "$place/hearth-agent" > "$place/start"
chmod 755 "$place/start"
mv "$place/start" "$place/hearth-agent"
