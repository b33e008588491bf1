#!/bin/sh
# Makes a Debian at $1 with nothing but what the packages need, unless it is there. It is whole or not there.
set -eu
[ -e "$1" ] && exit
new=$1.new
rm -rf "$new"
debootstrap --variant=minbase --include=systemd,git,curl,prometheus,prometheus-alertmanager bookworm "$new"
mv "$new" "$1"
