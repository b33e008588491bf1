//! Lines of devices' logs that say that the configuration was changed, and lines beside them that do not.

use ssh::Driver;

/// Platform, line, and who: `None` when it is no change, an empty name when it names nobody.
const LINES: [(&str, &str, Option<&str>); 38] = [
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
