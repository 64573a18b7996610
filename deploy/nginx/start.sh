#!/bin/sh
# Starts nginx with the name server that this container has, Docker's or another's.
set -eu
server=$(awk '$1 == "nameserver" { print $2; exit }' /etc/resolv.conf)
case $server in *:*) server="[$server]" ;; esac
echo "resolver $server valid=2s ipv6=off;" >/tmp/resolver.conf
exec nginx -g 'daemon off;'
