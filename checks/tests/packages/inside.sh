#!/bin/bash
# Installs, runs, upgrades and purges the packages in /run/packages: first/ holds one version of all, second/ a later one of some.
# No systemd runs here: each unit's command is started as its user, with its rights, on a root that can be written in its state folder only.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /
fail() { echo "failed: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: expected $2, found $1"; }
value() { sed -n "s/^$2=//p" "/usr/lib/systemd/system/$1.service"; }
quiet() { "$@" > /tmp/said 2>&1 || { cat /tmp/said >&2; fail "$*"; }; }

# A port of 127.0.0.1 answers /-/healthy.
healthy() {
	exec 9<>"/dev/tcp/127.0.0.1/$1" || return 1
	printf 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&9
	head -n 1 <&9 | grep -q ' 200 '
}

start() {
	name=$1
	rights=$(value "$name" AmbientCapabilities | tr 'A-Z' 'a-z')
	set=-all
	for right in $rights; do set=$set,+${right#cap_}; done
	ARGS=
	. "/etc/default/$name"
	command=$(value "$name" ExecStart | sed "s|\$ARGS|$ARGS|")
	mkdir -p "/run/credentials/$name.service"
	# Descriptors 3 and 4 are what systemd would listen on (sockets.pl).
	sockets='exec 3<&- 4<&-'
	if [ "$name" = sotp-syslog ]; then sockets='export LISTEN_PID=$$ LISTEN_FDS=2'; fi
	cat > "/tmp/$name.sh" <<-END
		mount --bind "/var/lib/$name" "/var/lib/$name"
		mount -t tmpfs tmpfs /var/tmp
		mount -o remount,bind,ro /
		cd "/var/lib/$name"
		umask $(value "$name" UMask)
		$sockets
		export CREDENTIALS_DIRECTORY=/run/credentials/$name.service HOME=/var/lib/$name
		exec setpriv --reuid=$name --regid=$name --clear-groups --no-new-privs \
			--bounding-set=$set --inh-caps=$set --ambient-caps=$set -- $command
	END
	unshare --mount sh "/tmp/$name.sh" > "/tmp/$name.log" 2>&1 &
	echo $! > "/tmp/$name.pid"
	port=$(value "$name" ExecStart | sed -n 's/.*--web.listen-address=127.0.0.1:\([0-9]*\).*/\1/p')
	for _ in $(seq 600); do
		if (healthy "$port") 2>/dev/null; then
			user=$(stat -c %U "/proc/$(cat "/tmp/$name.pid")")
			is "$user" "$name" "user of $name"
			return
		fi
		kill -0 "$(cat "/tmp/$name.pid")" 2>/dev/null || break
		sleep 0.1
	done
	cat "/tmp/$name.log" >&2
	fail "$name is not healthy"
}

stop() {
	pid=$(cat "/tmp/$1.pid")
	kill -TERM "$pid"
	wait "$pid" || { cat "/tmp/$1.log" >&2; fail "$1 ended with $?"; }
}

services=$(cd /run/packages/first && ls sotp-*.deb | sed 's/_.*//' | grep -v '^sotp-audit$')
whole=
if dpkg -s prometheus prometheus-alertmanager > /dev/null 2>&1; then whole=/run/packages/first/sotp_*.deb; fi

quiet dpkg --force-unsafe-io -i /run/packages/first/sotp-*.deb $whole
for name in $services; do
	is "$(stat -c '%U %a' "/var/lib/$name")" "$name 750" "/var/lib/$name"
	is "$(stat -c '%U %a' "/etc/sotp/credentials/${name#sotp-}")" "root 700" "credentials of $name"
	[ -s "/usr/share/doc/$name/THIRD-PARTY.md.gz" ] || fail "no notices of $name"
	[ -e "/etc/systemd/system/multi-user.target.wants/$name.service" ] || fail "$name is not enabled"
done
quiet systemd-analyze verify --man=no $(printf '/usr/lib/systemd/system/%s.service ' $services)
[ ! -s /tmp/said ] || { cat /tmp/said >&2; fail "systemd-analyze verify"; }
echo "installed: $(echo $services)"

if [ -n "$whole" ]; then
	quiet promtool check config /etc/sotp/prometheus.yml
	quiet amtool check-config /etc/sotp/alertmanager.yaml
	quiet systemd-analyze verify --man=no prometheus.service prometheus-alertmanager.service
	quiet systemd-analyze verify --man=no sotp-backup.service sotp-backup.timer
	[ -e /etc/systemd/system/timers.target.wants/sotp-backup.timer ] || fail "sotp-backup.timer is not enabled"
	echo "whole: $(promtool check config /etc/sotp/prometheus.yml | grep -c 'rules found') rule files"
fi

for name in $services; do start "$name"; done
for name in $services; do stop "$name"; done
echo "ran: $(echo $services)"

# A restart under load loses no line: what comes meanwhile waits in the socket.
send() {
	for number in $(seq "$1" "$2"); do
		echo "<14>1 - r1 test - - - line $number" > /dev/udp/127.0.0.1/514
		sleep 0.002
	done
}
start sotp-syslog
send 1 500 &
sender=$!
for _ in 1 2 3; do
	sleep 0.2
	stop sotp-syslog
	sleep 0.1
	start sotp-syslog
done
wait "$sender"
send 501 600
for _ in $(seq 300); do
	lines=$(grep -o 'line [0-9]*' /var/lib/sotp-syslog/messages.log | sort -u | wc -l)
	if [ "$lines" = 600 ]; then break; fi
	sleep 0.1
done
is "$lines" 600 "lines of syslog over three restarts"
stop sotp-syslog
echo "restarted: sotp-syslog with $lines lines"

# What people changed and what was recorded outlives an upgrade.
echo "# Ours." >> /etc/sotp/ping.yaml
echo recorded > /var/lib/sotp-ping/mark
quiet dpkg --force-unsafe-io --force-confdef --force-confold -i /run/packages/second/*.deb
tail -n 1 /etc/sotp/ping.yaml | grep -qx '# Ours.' || fail "the upgrade took the changed configuration"
is "$(cat /var/lib/sotp-ping/mark)" recorded "state after the upgrade"
version=$(dpkg-query -W -f '${Version}' sotp-ping)
start sotp-inventory
start sotp-ping
stop sotp-ping
stop sotp-inventory
echo "upgraded: sotp-ping $version"

quiet dpkg --force-unsafe-io -P $(dpkg-query -W -f '${Package} ' 'sotp*')
grep -q '/var/lib/sotp-ping was kept' /tmp/said || fail "purge does not say what it kept"
is "$(cat /var/lib/sotp-ping/mark)" recorded "state after the purge"
left=$(ls -d /etc/sotp /etc/default/sotp* /usr/bin/sotp-* /usr/lib/systemd/system/*sotp* /etc/systemd/system/*/sotp-* 2>/dev/null || true)
is "$left" "" "left over"
echo purged
