//! Lines of devices' logs that say that the configuration was changed, and lines beside them that do not.

use ssh::Driver;

/// Platform, line, and who: `None` when it is no change, an empty name when it names nobody.
const LINES: [(&str, &str, Option<&str>); 59] = [
    (
        "ios",
        "Dec  1 10:00:00.123: %SYS-5-CONFIG_I: Configured from console by alice on vty0 (198.18.0.9)",
        Some("alice"),
    ),
    (
        "ios",
        "%SYS-5-CONFIG_I: Configured from console by vty0 (198.18.0.9)",
        Some(""),
    ),
    (
        "ios",
        "%SYS-5-CONFIG_I: Configured from console by console",
        Some(""),
    ),
    (
        "ios",
        "%SYS-5-CONFIG_I: Configured from 198.18.0.9 by snmp",
        Some(""),
    ),
    (
        "ios",
        "%SYS-SW1-5-CONFIG_I: Configured from console by bob on console",
        Some("bob"),
    ),
    (
        "ios",
        "%SYS-5-CONFIG_P: Configured programmatically by process iosp_dmiauthd_conn_100001_vty_100001 from console as carol on vty63",
        Some("carol"),
    ),
    (
        "ios",
        "%PARSER-5-CFGLOG_LOGGEDCMD: User:alice  logged command:interface Gi0/1",
        Some("alice"),
    ),
    (
        "ios",
        "%DMI-5-CONFIG_I: Switch 1 R0/0: dmiauthd: Configured from NETCONF/RESTCONF by alice, transaction-id 12",
        Some("alice"),
    ),
    (
        "ios",
        "%LINK-3-UPDOWN: Interface Gi0/1, changed state to down",
        None,
    ),
    ("ios", "%SYS-5-RESTART: System restarted --", None),
    (
        "ios",
        "%SEC_LOGIN-5-LOGIN_SUCCESS: Login Success [user: alice]",
        None,
    ),
    (
        "nxos",
        "2025 Dec  1 10:00:00 r1 %VSHD-5-VSHD_SYSLOG_CONFIG_I: Configured from vty by alice on 198.18.0.9@pts/0",
        Some("alice"),
    ),
    (
        "nxos",
        "%ETHPORT-5-IF_DOWN_CFG_CHANGE: Interface Ethernet1/1 is down(Config change)",
        None,
    ),
    (
        "iosxr",
        "RP/0/RP0/CPU0:Dec  1 10:00:00.123 UTC: config[65795]: %MGBL-CONFIG-6-DB_COMMIT : Configuration committed by user 'alice'. Use 'show configuration commit changes 1000000123' to view the changes.",
        Some("alice"),
    ),
    (
        "iosxr",
        "config[65795]: %MGBL-SYS-5-CONFIG_I : Configured from console by bob on vty0 (198.18.0.9)",
        Some("bob"),
    ),
    (
        "iosxr",
        "%MGBL-CONFIG-6-DB_COMMIT_FAIL : nothing was committed",
        None,
    ),
    (
        "eos",
        "ConfigAgent: %SYS-5-CONFIG_I: Configured from console by alice on vty5 (198.18.0.9)",
        Some("alice"),
    ),
    (
        "eos",
        "ConfigAgent: %SYS-5-CONFIG_SESSION_COMMIT_SUCCESS: User bob committed configuration session s1 successfully on vty5 (198.18.0.9)",
        Some("bob"),
    ),
    (
        "eos",
        "ConfigAgent: %SYS-5-CONFIG_E: Enter configuration mode from console by alice on vty5 (198.18.0.9)",
        None,
    ),
    (
        "junos",
        "mgd[4711]: UI_COMMIT: User 'alice' requested 'commit' operation (comment: none)",
        Some("alice"),
    ),
    (
        "junos",
        "mgd[4711]: UI_COMMIT: User 'alice' requested 'commit confirmed' operation (comment: x)",
        Some("alice"),
    ),
    (
        "junos",
        "mgd[4711]: UI_COMMIT_COMPLETED: commit complete",
        Some(""),
    ),
    (
        "junos",
        "mgd[4711]: UI_CFG_AUDIT_SET: User 'alice' set: [system host-name] r1 -> \"r2\"",
        None,
    ),
    (
        "frr",
        "bgpd[12]: [M7Q4P-46WDR] vty[13]@(config-router)# neighbor 198.18.0.2 remote-as 2",
        Some(""),
    ),
    (
        "frr",
        "bgpd[12]: [M7Q4P-46WDR] vty[13]@> show version",
        None,
    ),
    (
        "routeros",
        "system,info filter rule changed by admin",
        Some("admin"),
    ),
    (
        "routeros",
        "system,info address added by winbox-3.40/tcp-msg(winbox):alice@198.18.0.9/action:3 (/ip address add address=198.18.1.1/24)",
        Some("alice"),
    ),
    (
        "routeros",
        "system,info,account user alice logged in from 198.18.0.9 via ssh",
        None,
    ),
    (
        "vrp",
        "%%01HWCM/4/CFGCHANGE(l)[12]:OID 1.3.6.1.4.1.2011.5.25.191.3.1 configure changed. (EventIndex=7, CommandSource=1)",
        Some(""),
    ),
    (
        "vrp",
        "%%01CONFIGURATION/6/hwCfgConfigChangeLog(s):CID=0x80cb000c;The configuration changed. (Internal change =False, User name =alice, Session ID =5, Command source address =198.18.0.9)",
        Some("alice"),
    ),
    (
        "vrp",
        "%%01SHELL/5/CMDRECORD(l)[1]:Recorded command information. (User=alice, Command=\"display version\")",
        None,
    ),
    (
        "comware",
        "%Dec 1 10:00:00:123 2025 r1 CFGMAN/5/CFGMAN_CFGCHANGED: -EventIndex=6-CommandSource=2-ConfigSource=4-ConfigDestination=2; Configuration changed.",
        Some(""),
    ),
    (
        "comware",
        "SHELL/6/SHELL_CMD: -Line=vty0-IPAddr=198.18.0.9-User=alice; Command is display version",
        None,
    ),
    (
        "fortios",
        "date=2025-12-01 logid=\"0100044547\" type=\"event\" logdesc=\"Object attribute configured\" user=\"alice\" ui=\"GUI(198.18.0.9)\" cfgpath=\"firewall.policy\"",
        Some("alice"),
    ),
    (
        "fortios",
        "date=2025-12-01 logid=\"0100032001\" type=\"event\" logdesc=\"Admin login successful\" user=\"alice\"",
        None,
    ),
    (
        "aoss",
        "I 12/01/25 10:00:00 00427 Event: Notice-Type='Running-Config-Change' Event-ID='x' User-name='alice'",
        Some("alice"),
    ),
    (
        "vyos",
        "commit: Successful change to active configuration by user alice on /dev/pts/0",
        Some("alice"),
    ),
    (
        "vyos",
        "sshd[1]: Accepted password for alice from 198.18.0.9",
        None,
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(Dec 01 2025 10:00:00.399:43) : msg='rec=ACCT_CMD op=stop timezone=UTC user=alice priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=shell data=\"interface 1/1/7\" hostname=8320 addr=198.18.0.9 res=success'",
        Some("alice"),
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(1764583200.045:70): pid=1675 uid=0 auid=4294967295 ses=4294967295 msg='rec=ACCT_CMD op=stop timezone=UTC user=bob priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=https-server data=\"http-method=PUT http-uri=/rest/v10.04/system/vlans/7\" exe=\"/usr/bin/hpe-restd\" hostname=8320 addr=198.18.0.9 terminal=? res=success'",
        Some("bob"),
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(1764583200.045:71): pid=1675 uid=0 auid=4294967295 ses=4294967295 msg='rec=ACCT_CMD op=stop timezone=UTC user=bob priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=https-server data=\"http-method=GET http-uri=/rest/v1/system/bridge/vlans/1/macs\" exe=\"/usr/bin/hpe-restd\" hostname=8320 addr=198.18.0.9 terminal=? res=success'",
        None,
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(1764583200.045:72): pid=1675 uid=0 auid=4294967295 ses=4294967295 msg='rec=ACCT_CMD op=stop timezone=UTC user=bob priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=https-server data=\"http-method=POST http-uri=/rest/v10.04/login\" exe=\"/usr/bin/hpe-restd\" hostname=8320 addr=198.18.0.9 terminal=? res=success'",
        None,
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(Dec 01 2025 10:00:01.399:44) : msg='rec=ACCT_CMD op=stop timezone=UTC user=alice priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=shell data=\"enable\" hostname=8320 addr=198.18.0.9 res=success'",
        None,
    ),
    (
        "aoscx",
        "type=USYS_CONFIG msg=audit(Dec 01 2025 10:00:02.399:45) : msg='rec=ACCT_CMD op=stop timezone=UTC user=alice priv-lvl=1 auth-method=LOCAL auth-type=LOCAL service=shell data=\"interface 1/1/7\" hostname=8320 addr=198.18.0.9 res=failed'",
        None,
    ),
    (
        "aoscx",
        "type=USER_START msg=audit(Dec 01 2025 10:00:00.398:42) : msg='rec=ACCT_EXEC op=start timezone=UTC user=alice priv-lvl=15 auth-method=LOCAL auth-type=LOCAL service=shell hostname=8320 addr=198.18.0.9 res=success'",
        None,
    ),
    (
        "linux",
        "sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/sbin/ip link set dev eth1 mtu 9000",
        Some("alice"),
    ),
    (
        "linux",
        "   alice : PWD=/home/alice ; USER=root ; TSID=00000A ; COMMAND=/usr/sbin/netplan apply",
        Some("alice"),
    ),
    (
        "linux",
        "sudo[4711]:      bob : TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/nmcli connection modify eth1 ipv4.method manual",
        Some("bob"),
    ),
    (
        "linux",
        "sudo:      bob : TTY=pts/1 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/apt-get -y dist-upgrade",
        Some("bob"),
    ),
    (
        "linux",
        "sudo:    alice : TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/sbin/ip -6 route show",
        None,
    ),
    (
        "linux",
        "sudo:    alice : command not allowed ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/sbin/ip link set dev eth1 down",
        None,
    ),
    (
        "linux",
        "sudo:    alice : 3 incorrect password attempts ; TTY=pts/0 ; PWD=/home/alice ; USER=root ; COMMAND=/usr/sbin/ip link set dev eth1 down",
        None,
    ),
    (
        "linux",
        "sudo: pam_unix(sudo:session): session opened for user root(uid=0) by alice(uid=1000)",
        None,
    ),
    (
        "linux",
        "audispd: type=SYSCALL msg=audit(1764583200.123:420): arch=c000003e syscall=257 success=yes exit=3 ppid=900 pid=901 auid=1000 uid=0 gid=0 tty=pts0 ses=3 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"network_modifications\" ARCH=x86_64 SYSCALL=openat AUID=\"alice\" UID=\"root\"",
        Some("alice"),
    ),
    (
        "linux",
        "type=SYSCALL msg=audit(1764583200.123:421): arch=c000003e syscall=170 success=yes exit=0 auid=1000 uid=0 comm=\"hostname\" exe=\"/usr/bin/hostname\" key=\"system-locale\"",
        Some(""),
    ),
    (
        "linux",
        "type=SYSCALL msg=audit(1764583200.123:422): arch=c000003e syscall=257 success=no exit=-13 auid=1000 uid=1000 comm=\"vi\" exe=\"/usr/bin/vi\" key=\"network_modifications\" AUID=\"alice\"",
        None,
    ),
    (
        "linux",
        "type=USER_LOGIN msg=audit(1764583200.123:423): pid=900 uid=0 auid=1000 ses=3 msg='op=login id=1000 exe=\"/usr/sbin/sshd\" hostname=198.18.0.9 addr=198.18.0.9 terminal=/dev/pts/0 res=success'",
        None,
    ),
    (
        "linux",
        "NetworkManager[612]: <info>  [1764583200.1234] audit: op=\"connection-update\" uuid=\"0e7c6a52-0000-4000-8000-000000000001\" name=\"eth1\" args=\"ipv4.method\" pid=1234 uid=0 result=\"success\"",
        Some(""),
    ),
    (
        "linux",
        "NetworkManager[612]: <info>  [1764583200.1234] device (eth1): carrier: link connected",
        None,
    ),
];

#[test]
fn changes_are_told_from_other_lines_with_who_made_them() {
    for (platform, line, who) in LINES {
        let found = Driver::load(platform).unwrap().change(line);
        let who = who.map(|user| (!user.is_empty()).then(|| user.to_owned()));
        assert_eq!(found, who, "{platform}: {line}");
    }
}

#[test]
fn every_platform_with_a_log_of_changes_is_in_the_table() {
    for platform in ssh::Drivers::built_in().platforms() {
        let driver = Driver::load(platform).unwrap();
        let told = LINES
            .iter()
            .any(|(own, _, who)| own == &platform && who.is_some());
        assert_eq!(driver.tells_changes(), told, "{platform}");
    }
}
