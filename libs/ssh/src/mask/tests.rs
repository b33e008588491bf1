use toolkit::Secret;

use super::*;

fn masker() -> Masker {
    Masker::new(&Secret::new("key of the tests"))
}

/// Lines with the secret in each, by platform; `""` for those that the detector has to find alone.
const SECRETS: [(&str, &str, &str); 41] = [
    (
        "eos",
        "   exec /usr/bin/TerminAttr -cvopt DC1.auth=key,s3cretCv -cvopt DC1.vrf=MGMT",
        "s3cretCv",
    ),
    ("ios", "snmp-server community s3cretRO RO 10", "s3cretRO"),
    (
        "ios",
        "snmp-server host 198.18.0.9 version 2c s3cretTrap",
        "s3cretTrap",
    ),
    (
        "ios",
        "snmp-server user bob grp v3 auth sha s3cretAuth priv aes 128 s3cretPriv",
        "s3cretAuth",
    ),
    (
        "ios",
        "snmp-server user bob grp v3 auth sha s3cretAuth priv aes 128 s3cretPriv",
        "s3cretPriv",
    ),
    (
        "ios",
        "enable secret 5 $1$mERr$hx5rVt7rPNoS4wqbXKX7m0",
        "$1$mERr$hx5rVt7rPNoS4wqbXKX7m0",
    ),
    ("ios", "enable password 7 0822455D0A16", "0822455D0A16"),
    (
        "ios",
        "username alice privilege 15 secret 9 $9$abcdefgh$ijklmnop",
        "$9$abcdefgh$ijklmnop",
    ),
    ("ios", "username alice password 0 hunter2", "hunter2"),
    ("ios", " password 7 094F471A1A0A", "094F471A1A0A"),
    (
        "ios",
        "tacacs-server host 198.18.0.9 key 7 13061E010803",
        "13061E010803",
    ),
    ("ios", " key 7 13061E010803", "13061E010803"),
    ("ios", " key s3cretTac", "s3cretTac"),
    (
        "ios",
        "crypto isakmp key s3cretPsk address 198.18.0.9",
        "s3cretPsk",
    ),
    ("ios", " pre-shared-key local 0 s3cretPsk", "s3cretPsk"),
    (
        "ios",
        " neighbor 198.18.0.9 password s3cretBgp",
        "s3cretBgp",
    ),
    (
        "ios",
        " ip ospf message-digest-key 1 md5 7 13061E010803",
        "13061E010803",
    ),
    ("ios", " ip ospf authentication-key s3cret", "s3cret"),
    ("ios", "  key-string 7 045802150C2E", "045802150C2E"),
    (
        "ios",
        " standby 1 authentication md5 key-string s3cretHsrp",
        "s3cretHsrp",
    ),
    (
        "ios",
        "ntp authentication-key 1 md5 060506324F41 7",
        "060506324F41",
    ),
    ("ios", " ppp chap password 0 s3cretPpp", "s3cretPpp"),
    ("ios", " wpa-psk ascii 0 s3cretWifi", "s3cretWifi"),
    (
        "junos",
        "    encrypted-password \"$6$abcd$efghijklmnop\"; ## SECRET-DATA",
        "$6$abcd$efghijklmnop",
    ),
    (
        "junos",
        "        authentication-key \"$9$H.5zFnCOBE\"; ## SECRET-DATA",
        "$9$H.5zFnCOBE",
    ),
    ("junos", "    community s3cretRO {", "s3cretRO"),
    ("junos", "    secret \"s3cretRadius\";", "s3cretRadius"),
    (
        "junos",
        "    archive-sites {\n        \"ftp://bob:s3cretFtp@198.18.0.9/\";",
        "s3cretFtp",
    ),
    ("frr", "password s3cretVty", "s3cretVty"),
    ("frr", "enable password 8 MzdrWxJ9vWDfI", "MzdrWxJ9vWDfI"),
    (
        "frr",
        " neighbor 198.18.0.9 password s3cretBgp",
        "s3cretBgp",
    ),
    (
        "frr",
        " ip ospf message-digest-key 1 md5 s3cretOspf",
        "s3cretOspf",
    ),
    ("frr", "  key-string s3cretRip", "s3cretRip"),
    (
        "",
        "set psksecret ENC dGhpcyBpcyBub3QgYSBzZWNyZXQ=",
        "dGhpcyBpcyBub3QgYSBzZWNyZXQ=",
    ),
    (
        "",
        "wireguard private-key aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28=",
        "aGVsbG8gd29ybGQgaGVsbG8gd29ybGQgaGVsbG8gd28=",
    ),
    (
        "",
        "api-token: 0123456789abcdef0123456789abcdef01234567",
        "0123456789abcdef0123456789abcdef01234567",
    ),
    ("", "copy scp://bob:s3cretUrl@198.18.0.9/conf", "s3cretUrl"),
    ("", "user bob password=s3cret;", "s3cret"),
    ("", "something 7 0822455D0A16", "0822455D0A16"),
    ("", "wpa-passphrase \"two words\"", "two words"),
    (
        "",
        "local-user admin password irreversible-cipher $1c$yU$abcdefghijk$",
        "$1c$yU$abcdefghijk$",
    ),
];

#[test]
fn no_secret_of_any_family_is_left() {
    for (platform, line, secret) in SECRETS {
        let driver = crate::Drivers::built_in().get(platform);
        let masked = masker().mask(driver.as_deref(), line);
        assert!(
            !masked.text.contains(secret),
            "{platform}: {line} -> {}",
            masked.text
        );
        assert!(masked.secrets > 0, "{line}");
        assert!(masked.text.contains("<masked:"), "{line}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    let text = "hostname r1\nservice password-encryption\nno ip http server\nkey chain RIP\n key 1\ninterface eth0\n description to r2 port 7\n ip address 198.18.0.1/30\nrouter bgp 65001\n neighbor 198.18.0.2 remote-as 65002\n neighbor 198.18.0.2 send-community both\nip prefix-list P seq 5 permit 198.18.0.0/15\nroute-map M permit 10\n set community 65000:100\nip ssh key-exchange\nend\n";
    for platform in ["frr", "ios", ""] {
        let driver = crate::Drivers::built_in().get(platform);
        let masked = masker().mask(driver.as_deref(), text);
        assert_eq!(masked.text, text, "{platform}");
        assert_eq!(masked.secrets, 0);
    }
}

#[test]
fn same_secret_has_the_same_fingerprint_and_another_one_or_another_key_does_not() {
    let (one, two) = (masker().fingerprint("a"), masker().fingerprint("b"));
    assert_eq!(one, masker().fingerprint("a"));
    assert_ne!(one, two);
    assert_ne!(one, Masker::new(&Secret::new("other")).fingerprint("a"));
}

#[test]
fn masking_twice_changes_nothing() {
    for (platform, line, _) in SECRETS {
        let driver = crate::Drivers::built_in().get(platform);
        let once = masker().mask(driver.as_deref(), line);
        let twice = masker().mask(driver.as_deref(), &once.text);
        assert_eq!(once.text, twice.text);
        assert_eq!(twice.secrets, 0);
    }
}

#[test]
fn private_keys_of_many_lines_go_as_one_even_without_their_end() {
    let whole = "crypto pki\n-----BEGIN RSA PRIVATE KEY-----\nMIIEow\nIBAAKC\n-----END RSA PRIVATE KEY-----\nend\n";
    let masked = masker().mask(None, whole);
    assert_eq!(masked.text.lines().count(), 3);
    assert!(!masked.text.contains("MIIE") && masked.text.ends_with("end\n"));
    let cut = masker().mask(None, "a\n-----BEGIN PRIVATE KEY-----\nMIIEow\n");
    assert!(
        !cut.text.contains("MIIE") && cut.secrets == 1,
        "{}",
        cut.text
    );
}

#[test]
fn what_foreign_configurations_showed_is_hidden_and_what_they_need_stays() {
    let mask = |platform: &str, text: &str| {
        let driver = Driver::load(platform).unwrap();
        masker().mask(Some(&driver), text).text
    };
    for (platform, line, secret) in [
        (
            "ios",
            " security wpa psk set-key ascii 0 two words",
            "words",
        ),
        ("ios", " dot1x username ap password 0 two words", "words"),
        (
            "ios",
            " mgmtuser username ap password 0 two words secret 0 more words",
            "words",
        ),
        ("ios", "username bob password 0 two words", "words"),
        (
            "ios",
            " client 198.18.0.9 server-key 7 s3cretRad",
            "s3cretRad",
        ),
        (
            "nxos",
            "ntp authentication-key 1 md5 s3cretNtp 7",
            "s3cretNtp",
        ),
        (
            "junos",
            "set snmp community s3cretRO authorization read-only",
            "s3cretRO",
        ),
        (
            "vyos",
            "set pki certificate a private key 'MIIEs3cret'",
            "MIIEs3cret",
        ),
        ("routeros", "set trap-community=s3cretTrap", "s3cretTrap"),
        (
            "ios",
            "ntp authentication-key 3 hmac-sha1 s3cretNtp",
            "s3cretNtp",
        ),
        (
            "ios",
            "ntp authentication-key 2 cmac-aes-128 s3cretNtp",
            "s3cretNtp",
        ),
        (
            "ios",
            "snmp-server host 198.18.0.9 inform version 2c s3cretTrap",
            "s3cretTrap",
        ),
        (
            "ios",
            "snmp-server host 198.18.0.9 trap s3cretTrap",
            "s3cretTrap",
        ),
        (
            "iosxr",
            "snmp-server host 198.18.0.9 traps version 2c encrypted 121C121A01",
            "121C121A01",
        ),
        (
            "iosxr",
            " host 198.18.0.9 traps version 2c encrypted 121C121A01",
            "121C121A01",
        ),
        (
            "eos",
            "   exec /usr/bin/TerminAttr -cvaddr=198.18.0.9:9910 -cvauth=key,s3cretCv -cvvrf=MGMT",
            "s3cretCv",
        ),
        (
            "junos",
            "set protocols ospf area 0.0.0.0 interface xe-0/0/0.0 authentication md5 0 key \"s3cretMd5\"",
            "s3cretMd5",
        ),
        (
            "junos",
            "set snmp trap-group s3cretTrap categories link",
            "s3cretTrap",
        ),
        (
            "vyos",
            "set protocols nhrp tunnel tun0 cisco-authentication 's3cretNh'",
            "s3cretNh",
        ),
        (
            "routeros",
            "/snmp community set [ find default=yes ] addresses=::/0 name=s3cretRO",
            "s3cretRO",
        ),
        (
            "iosxr",
            "set x \"-----BEGIN RSA PRIVATE KEY-----\\nMIIEs3cret\\n-----END RSA PRIVATE KEY-----\"",
            "MIIEs3cret",
        ),
    ] {
        let masked = mask(platform, line);
        assert!(!masked.contains(secret), "{masked}");
        assert!(masked.contains("<masked:"), "{masked}");
    }
    for (platform, line) in [
        ("nxos", "snmp-server host 198.18.0.9 source-interface mgmt0"),
        ("nxos", "ntp server 198.18.0.9 use-vrf management key 12345"),
        ("nxos", "    authentication md5 key-chain ospf"),
        (
            "aoscx",
            "ssh key-exchange-algorithms curve25519-sha256 diffie-hellman-group-exchange-sha256",
        ),
        ("ios", " snmp trap link-status"),
        ("ios", "ntp server 198.18.0.9 key 12"),
        ("iosxr", " host 198.18.0.9"),
        ("junos", "set protocols bgp authentication-key-chain KC"),
        ("vyos", "set interfaces tunnel tun0 parameters ip key '1'"),
        (
            "vyos",
            "set interfaces ethernet eth0 hw-id '02:00:00:00:00:01'",
        ),
    ] {
        assert_eq!(mask(platform, line), format!("{line}\n"));
    }
}

#[test]
fn secret_that_is_encrypted_anew_each_time_is_no_change() {
    let driver = Driver::load("fortios").unwrap();
    let shown = |salt: &str| {
        let text = format!(
            "config system admin\n    edit \"a\"\n        set password ENC {salt}\n        set private-key \"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{salt}\n-----END ENCRYPTED PRIVATE KEY-----\"\n    next\nend\n"
        );
        masker().mask(Some(&driver), &text).text
    };
    assert_eq!(shown("abcdefgh"), shown("ijklmnop"));
    assert!(shown("x").contains("set password ENC <masked:unstable>\n"));
    assert!(shown("x").contains("set private-key \"<masked:unstable>\"\n    next\n"));
}

#[test]
fn secret_of_a_section_is_hidden_there_alone() {
    let driver = Driver::load("fortios").unwrap();
    let text = "config system snmp community\n    edit 1\n        set name \"s3cretRO\"\n    next\nend\nconfig system x\n    set name \"open\"\nend\n";
    let masked = masker().mask(Some(&driver), text).text;
    assert!(
        !masked.contains("s3cretRO") && masked.contains("set name \"open\""),
        "{masked}"
    );
    let driver = Driver::load("junos").unwrap();
    let text = "snmp {\n    trap-group s3cretTrap {\n        targets {\n        }\n    }\n}\nevent-options {\n    trap-group open {\n    }\n}\n";
    let masked = masker().mask(Some(&driver), text).text;
    assert!(
        !masked.contains("s3cretTrap") && masked.contains("trap-group open {"),
        "{masked}"
    );
    let driver = Driver::load("routeros").unwrap();
    let text = "/snmp community\nadd name=s3cretRO\n/ip pool\nadd name=open\n";
    let masked = masker().mask(Some(&driver), text).text;
    assert!(
        !masked.contains("s3cretRO") && masked.contains("name=open"),
        "{masked}"
    );
}

/// What each platform writes of each family, with the secrets between « and ».
const CANARIES: &str = include_str!("../../testdata/canaries.txt");

#[test]
fn no_canary_of_any_family_and_platform_is_left() {
    let mut left = Vec::new();
    let mut platforms = 0;
    for section in CANARIES.split("\n=== ").skip(1) {
        let (platform, text) = section.split_once('\n').unwrap();
        platforms += 1;
        let driver = Driver::load(platform).unwrap();
        let secrets: Vec<&str> = text
            .split('«')
            .skip(1)
            .map(|rest| rest.split_once('»').unwrap().0)
            .collect();
        assert!(secrets.len() >= 9, "{platform}: {}", secrets.len());
        let masked = masker().mask(Some(&driver), &text.replace(['«', '»'], ""));
        for secret in secrets {
            let bare = secret.trim_matches('"');
            // No part of it either, where it is of several words.
            for part in bare.split(' ').filter(|part| part.len() > 3) {
                if let Some(line) = masked.text.lines().find(|line| line.contains(part)) {
                    left.push(format!("{platform}: {part}: {line}"));
                }
            }
        }
    }
    assert_eq!(platforms, 14, "every platform");
    assert!(
        left.is_empty(),
        "{} are left:\n{}",
        left.len(),
        left.join("\n")
    );
}

/// Forms that no driver knows: what looks like a secret goes all the same.
#[test]
fn unknown_forms_are_hidden_rather_than_shown() {
    for (line, secret) in [
        (
            "flux capacitor credential Zx81Qw93Er57Ty24Ui60Op8As1Df5Gh7J",
            "Zx81Qw93",
        ),
        ("frobnicate $6$saltsalt$HashHashHashHash", "HashHash"),
        ("frobnicate $14$AbCd$EfGhIjKlMn", "EfGhIjKlMn"),
        ("set x https://svc:Pa55w0rd@198.18.0.9/api", "Pa55w0rd"),
        ("set auth-key = \"q9w8e7\"", "q9w8e7"),
        ("x-api-token: deadbeefdeadbeefdeadbeefdeadbeef", "deadbeef"),
        (
            "blob -----BEGIN OPENSSH PRIVATE KEY-----b3BlbnNzaC1rZXk-----END OPENSSH PRIVATE KEY-----",
            "b3Blbn",
        ),
        ("Authorization: Bearer abc.DEF-123", "abc.DEF-123"),
        ("something 7 094F471A1A0A46", "094F471A"),
        ("unheard-of secret-phrase hunter2hunter", "hunter2"),
        (
            "      security wpa psk set-key ascii 0 WLANSECR3T",
            "WLANSECR3T",
        ),
    ] {
        for platform in ["ios", "junos", "routeros"] {
            let driver = Driver::load(platform).unwrap();
            let masked = masker().mask(Some(&driver), line).text;
            assert!(!masked.contains(secret), "{platform}: {masked}");
        }
    }
}

/// A line that is passed over is one that no pattern finds anything in; and for no platform are the patterns too many for one look.
#[test]
fn one_look_passes_over_no_line_that_a_pattern_matches() {
    for platform in crate::Drivers::built_in().platforms() {
        let driver = Driver::load(platform).unwrap();
        let suspects = driver.suspects();
        assert!(suspects.0.is_some(), "{platform}");
        let folder = format!("{}/testdata/{platform}", env!("CARGO_MANIFEST_DIR"));
        let files = std::fs::read_dir(folder).unwrap();
        let texts = files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap());
        let (mut passed, mut kept) = (0, 0);
        for line in texts
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|text| text.lines())
        {
            let own = driver.mask.iter().chain(&driver.unstable);
            let all = own.chain(&*ANNOUNCED).chain(&*SHAPED);
            let found = all.chain([&*BLOCK_BEGIN]).any(|own| own.is_match(line));
            assert_eq!(suspects.is_match(line), found, "{platform}: {line}");
            *(if found { &mut kept } else { &mut passed }) += 1;
        }
        let secrets = kept > 0 || platform == "linux";
        assert!(passed > 0 && secrets, "{platform}: {passed} and {kept}");
    }
    let plain = "interface Ethernet1\n ip address 198.18.0.1/30\nend\n";
    assert!(plain.lines().all(|line| !NO_DRIVER.is_match(line)));
}
