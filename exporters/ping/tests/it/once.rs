//! `sotp-ping ADDRESS…`: lines, summary, path and exit codes as people know them from ping.

use testkit::namespace::{self, ip};

use crate::path;
use crate::service::Files;

#[tokio::test]
async fn an_address_is_pinged_from_the_command_line() {
    let test = "once::an_address_is_pinged_from_the_command_line";
    let Some(namespace) = namespace::enter(test) else {
        return;
    };
    let _net = path::net();
    let files = Files::new("devices: []\n", "");
    let ping = |line: &str| {
        let arguments = line.split_whitespace();
        files.ping(&namespace, &arguments.collect::<Vec<_>>())
    };

    let (code, said) = ping("-c 3 -i 0.1 198.18.9.9");
    assert_eq!(code, Some(0), "{said}");
    for line in [
        "PING 198.18.9.9 (198.18.9.9) 56 bytes of data.\n",
        "64 bytes from 198.18.9.9: icmp_seq=1 ttl=63 time=",
        "icmp_seq=3 ttl=63 time=",
        "--- 198.18.9.9 ping statistics ---\n3 packets transmitted, 3 received, 0% packet loss, time ",
        "rtt min/avg/max/mdev = ",
        "rtt p50/p90/p95/p99 = ",
        "path: 1 198.18.1.2 ",
        ", 2 198.18.9.9 ",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }

    // With a deadline it is answers that are counted: the neighbours of IPv6 may take their time.
    let (code, said) = ping("-c 1 -i 0.2 -w 20 2001:db8:9::9");
    assert_eq!(code, Some(0), "{said}");

    // Both families, large, without lines; the second has no answer.
    let (code, said) = ping("-qc2 -i0.1 -s 1400 -W 3 2001:db8:9::9 198.18.9.77");
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("icmp_seq"), "{said}");
    assert!(
        said.contains("2 packets transmitted, 2 received, 0% packet loss"),
        "{said}"
    );
    assert!(said.contains("100% packet loss"), "{said}");

    let (code, said) = ping("-c 1 -t 1 198.18.9.9");
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("From 198.18.1.2 icmp_seq=1 Time to live exceeded"),
        "{said}"
    );
    assert!(said.contains("reasons: time_exceeded 1"), "{said}");

    let (code, said) = ping("-c 100 -i 0.1 -w 0.5 198.18.9.9");
    assert_eq!(
        code,
        Some(1),
        "fewer than were asked for in the time: {said}"
    );

    ip("link set a0 down");
    ip("link set b0 down");
    let (code, said) = ping("-c 1 -W 0.2 198.18.9.9");
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("Network is unreachable"), "{said}");
    assert!(said.contains("reasons: no_route 1"), "{said}");

    for wrong in [
        "-c 0 198.18.9.9",
        "-i 0 198.18.9.9",
        "-c 1",
        "-c 1 nowhere.invalid",
        "-4 ::1",
    ] {
        let (code, said) = ping(wrong);
        assert_eq!(code, Some(2), "{wrong}: {said}");
    }
}
