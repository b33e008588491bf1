# Listens on port 514, UDP and TCP, as systemd does for sotp-syslog, with descriptors 3 and 4, and goes on as the program given.
use strict;
use Socket;
use POSIX qw(dup2);
$^F = 20;
my $address = pack_sockaddr_in6(514, Socket::inet_pton(AF_INET6, "::"));
for my $kind ([SOCK_DGRAM, 13], [SOCK_STREAM, 14]) {
	socket(my $socket, AF_INET6, $kind->[0], 0) or die "socket: $!";
	setsockopt($socket, 41, 26, pack("i", 0)) or die "IPV6_V6ONLY: $!";
	# SO_RCVBUFFORCE, as ReceiveBuffer= of systemd: above what the machine allows.
	setsockopt($socket, SOL_SOCKET, 33, pack("i", 4194304)) or die "SO_RCVBUFFORCE: $!";
	bind($socket, $address) or die "bind: $!";
	listen($socket, 16) or die "listen: $!" if $kind->[0] == SOCK_STREAM;
	dup2(fileno($socket), $kind->[1]) or die "dup2: $!";
}
dup2(13, 3) or die "dup2: $!";
dup2(14, 4) or die "dup2: $!";
POSIX::close(13);
POSIX::close(14);
exec @ARGV or die "exec: $!";
