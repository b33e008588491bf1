#!/bin/bash
# Runs inside.sh in a machine of its own: a copy-on-write view of the Debian at $1, a network without anything, with the packages of $2.
# $3 is a folder for what is written. Called in namespaces of its own: unshare --mount --net --pid --fork.
set -eu
lower=$1 packages=$2 work=$3
here=$(dirname "$(readlink -f "$0")")
mkdir -p "$work/upper" "$work/work" "$work/root"
root=$work/root
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$work/upper,workdir=$work/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
mkdir -p "$root/run/packages" "$root/run/lock" "$root/run/scripts"
mount --bind "$packages" "$root/run/packages"
mount --bind "$here" "$root/run/scripts"
ip link set lo up
exec chroot "$root" /usr/bin/perl /run/scripts/sockets.pl /bin/bash /run/scripts/inside.sh
