#!/bin/bash
# Installs, runs, upgrades and purges the packages in /run/packages: first/ holds one version of all, second/ a later one.
# No systemd runs here: each unit's command is started as its user, with its rights, on a root that can be written in its state folder only.
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
cd /
fail() { echo "failed: $*" >&2; exit 1; }
is() { [ "$1" = "$2" ] || fail "$3: expected $2, found $1"; }
value() { sed -n "s/^$2=//p" "/usr/lib/systemd/system/$1.service"; }
quiet() { "$@" > /tmp/said 2>&1 || { cat /tmp/said >&2; fail "$*"; }; }

# A port of 127.0.0.1 answers, to who shows the certificate that root has; $2 is a path, further ones are curl's.
ask() {
	port=$1 path=$2
	shift 2
	own=/var/lib/sotp-certs/operator
	curl -sSf -m 10 --cacert $own/ca.crt --cert $own/tls.crt --key $own/tls.key "$@" "https://127.0.0.1:$port$path"
}

# What systemd does for sotp-certs.service, which every part wants.
certificates() {
	command=$(value sotp-certs ExecStart | sed "s|\$ARGS|$*|")
	(umask "$(value sotp-certs UMask)" && setpriv --bounding-set=-all,+chown --inh-caps=-all --no-new-privs -- $command)
}

# Runs a command as a user, who can write to one folder only; $1 is its name here, $2 its port, $3 the user, $4 the folder, $5 a line before.
run() {
	name=$1 port=$2 user=$3 folder=$4 before=$5
	shift 5
	cat > "/tmp/$name.sh" <<-END
		mount --bind "$folder" "$folder"
		mount -t tmpfs tmpfs /var/tmp
		mount -o remount,bind,ro /
		cd "$folder"
		$before
		exec setpriv --reuid=$user --regid=$user --clear-groups --no-new-privs $*
	END
	unshare --mount sh "/tmp/$name.sh" > "/tmp/$name.log" 2>&1 &
	echo $! > "/tmp/$name.pid"
	for _ in $(seq 600); do
		if ask "$port" /-/healthy > /dev/null 2>&1; then
			is "$(stat -c %U "/proc/$(cat "/tmp/$name.pid")")" "$user" "user of $name"
			return
		fi
		kill -0 "$(cat "/tmp/$name.pid")" 2>/dev/null || break
		sleep 0.1
	done
	cat "/tmp/$name.log" >&2
	fail "$name is not healthy"
}

port_of() { value "$1" ExecStart | sed -n 's/.*--web.listen-address=127.0.0.1:\([0-9]*\).*/\1/p'; }

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
	variables=$(value "$name" Environment | tr '\n' ' ')
	run "$name" "$(port_of "$name")" "$name" "/var/lib/$name" \
		"umask $(value "$name" UMask); $sockets; export CREDENTIALS_DIRECTORY=/run/credentials/$name.service HOME=/var/lib/$name $variables" \
		"--bounding-set=$set --inh-caps=$set --ambient-caps=$set -- $command"
}

# Debian's Prometheus or Alertmanager, as the package sotp tells its unit.
start_other() {
	command=$(sed -n 's/^ExecStart=\(.\)/\1/p' "/usr/lib/systemd/system/$1.service.d/sotp.conf" | sed 's| \$ARGS||')
	run "$1" "$2" prometheus /var/lib/prometheus : "--bounding-set=-all --inh-caps=-all -- $command"
}

stop() {
	pid=$(cat "/tmp/$1.pid")
	kill -TERM "$pid"
	wait "$pid" || { cat "/tmp/$1.log" >&2; fail "$1 ended with $?"; }
}

services=$(cd /run/packages/first && ls sotp-*.deb | sed 's/_.*//' | grep -v -e '^sotp-audit$' -e '^sotp-certs$')
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
quiet systemd-analyze verify --man=no sotp-certs.service sotp-certs.timer
[ ! -s /tmp/said ] || { cat /tmp/said >&2; fail "systemd-analyze verify"; }
[ -e /etc/systemd/system/timers.target.wants/sotp-certs.timer ] || fail "sotp-certs.timer is not enabled"
echo "installed: $(echo $services)"

quiet certificates
if [ -n "$whole" ]; then
	quiet promtool check config /etc/sotp/prometheus.yml
	quiet amtool check-config /etc/sotp/alertmanager.yaml
	quiet systemd-analyze verify --man=no prometheus.service prometheus-alertmanager.service
	quiet systemd-analyze verify --man=no sotp-backup.service sotp-backup.timer
	quiet systemd-analyze verify --man=no sotp-certificate@grafana-server.path sotp-certificate@grafana-server.service
	[ -e /etc/systemd/system/timers.target.wants/sotp-backup.timer ] || fail "sotp-backup.timer is not enabled"
	echo "whole: $(promtool check config /etc/sotp/prometheus.yml | grep -c 'rules found') rule files"
fi

is "$(stat -c '%U:%G %a' /var/lib/sotp-certs/ca.key)" "root:root 600" "the key of the authority"
is "$(stat -c '%U:%G %a' /var/lib/sotp-certs/ping/tls.key)" "root:sotp-ping 640" "the key of a part"
if setpriv --reuid=sotp-snmp --regid=sotp-snmp --clear-groups -- cat /var/lib/sotp-certs/ping/tls.key > /dev/null 2>&1; then
	fail "a part can read the key of another"
fi
for name in $services; do start "$name"; done
echo "ran: $(echo $services)"

# Nobody gets in in clear, and without a certificate only where people or browsers come.
open=
for name in $services; do
	port=$(port_of "$name")
	if curl -s -m 10 "http://127.0.0.1:$port/metrics" | grep -q _build_info; then fail "$name answers in clear"; fi
	if curl -sfk -m 10 "https://127.0.0.1:$port/metrics" > /dev/null; then open="$open $name"; fi
done
is "$(echo $open)" "sotp-inventory sotp-remediator sotp-reporter sotp-rum sotp-ssh-config" "open without a certificate"
echo "refused without a certificate: $(for name in $services; do case " $open " in *" $name "*) ;; *) printf '%s ' "$name" ;; esac; done)"

# Prometheus sees all of them, each by its certificate. It asks more often here than it is told to.
scraped() {
	since=$(date +%s)
	for _ in $(seq 600); do
		up=$(ask 9090 /api/v1/query -G --data-urlencode "query=count(up == 1 and timestamp(up) > $since)" 2>&1) || true
		if echo "$up" | grep -q '"13"'; then return; fi
		sleep 0.1
	done
	ask 9090 '/api/v1/targets?state=active' >&2
	fail "scraped: $up"
}
if [ -n "$whole" ]; then
	sed -i 's/_interval: 15s$/_interval: 2s/; s/scrape_timeout: 10s/scrape_timeout: 2s/' /etc/sotp/prometheus.yml
	start_other prometheus-alertmanager 9093
	start_other prometheus 9090
	scraped
	echo "scraped: 13 jobs"
fi

# What is due is renewed, as each hour, and served by the processes that run.
quiet certificates --lifetime=200d
count=0
for name in $services ${whole:+prometheus prometheus-alertmanager}; do
	case $name in
	prometheus) port=9090 part=prometheus ;;
	prometheus-alertmanager) port=9093 part=alertmanager ;;
	*) port=$(port_of "$name") part=${name#sotp-} ;;
	esac
	for _ in $(seq 300); do
		served=$(ask "$port" /-/healthy -o /dev/null -w '%{certs}' | sed -n '/^-----BEGIN/,/^-----END/p' || true)
		if [ "$served" = "$(cat "/var/lib/sotp-certs/$part/tls.crt")" ]; then break; fi
		sleep 0.1
	done
	is "$served" "$(cat "/var/lib/sotp-certs/$part/tls.crt")" "certificate of $name"
	kill -0 "$(cat "/tmp/$name.pid")" || fail "$name ended"
	count=$((count + 1))
done
if [ -n "$whole" ]; then
	scraped
	stop prometheus
	stop prometheus-alertmanager
fi
for name in $services; do stop "$name"; done
echo "renewed: $count parts while they run"

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

# What people changed and what was recorded outlives an upgrade, and each service goes on with what the one before wrote.
recorded() { (cd /var/lib && find $services -type f | sort); }
echo "# Ours." >> /etc/sotp/ping.yaml
echo recorded > /var/lib/sotp-ping/mark
recorded > /tmp/recorded
if [ -n "$whole" ]; then whole=/run/packages/second/sotp_*.deb; fi
quiet dpkg --force-unsafe-io --force-confdef --force-confold -i /run/packages/second/sotp-*.deb $whole
tail -n 1 /etc/sotp/ping.yaml | grep -qx '# Ours.' || fail "the upgrade took the changed configuration"
is "$(recorded | diff /tmp/recorded -)" "" "state after the upgrade"
for name in $services; do start "$name"; done
for name in $services; do
	stop "$name"
	echo "upgraded: $name $(dpkg-query -W -f '${Version}' "$name") with $(grep -c "^$name/" /tmp/recorded || true) files"
done
# What SQLite keeps beside an open file goes into it when the last of its readers closes.
is "$(recorded | comm -23 /tmp/recorded - | grep -v -e '\.tmp$' -e '\.sqlite-wal$' -e '\.sqlite-shm$')" "" "state after the upgraded ran"

quiet dpkg --force-unsafe-io -P $(dpkg-query -W -f '${Package} ' 'sotp*')
grep -q '/var/lib/sotp-ping was kept' /tmp/said || fail "purge does not say what it kept"
is "$(cat /var/lib/sotp-ping/mark)" recorded "state after the purge"
left=$(ls -d /etc/sotp /etc/default/sotp* /usr/bin/sotp-* /usr/lib/systemd/system/*sotp* /etc/systemd/system/*/sotp-* /var/lib/sotp-certs 2>/dev/null || true)
is "$left" "" "left over"
echo purged
