use super::*;

fn anonymiser() -> Anonymiser {
    let secrets = ["hunter2", "$9$abcdEFGH12", "0822455D0A16", "c3cretRO"].map(str::to_owned);
    Anonymiser::new(b"key", secrets, &[("ber-core-7", "r1"), ("sotp", "bob")])
}

#[test]
fn secrets_names_and_addresses_go_and_forms_stay() {
    let mut own = anonymiser();
    let text = "hostname ber-core-7\nusername carla secret 9 $9$abcdEFGH12\nenable password 7 0822455D0A16\nsnmp-server community c3cretRO RO\nsnmp-server location Rack 12, Berlin\n description to Acme Ltd, circuit 77\n ip address 203.0.113.66 255.255.255.192\n ip route 203.0.113.0 0.0.0.63 203.0.113.65\n ipv6 address 2a01:4f8::17/64\n mac-address 00:1b:21:aa:bb:cc\n mac 001b.21aa.bbcc\nlogging host noc.acme.com\nip ssh carla hunter2\nmail ops@acme.com\n";
    own.study(text);
    let shown: Vec<String> = text.lines().map(|line| own.line(line)).collect();
    let all = shown.join("\n");
    for gone in [
        "ber-core",
        "carla",
        "abcdEFGH",
        "0822455",
        "c3cretRO",
        "Berlin",
        "Acme",
        "203.0.113",
        "2a01",
        "1b:21",
        "1b.21",
        "acme.com",
        "hunter2",
        "ops@",
    ] {
        assert!(!all.contains(gone), "{gone}: {all}");
    }
    assert_eq!(shown[0], "hostname r1");
    assert!(shown[1].starts_with("username ") && shown[1].contains(" secret 9 $9$"));
    assert_eq!(shown[6], " ip address 198.18.0.66 255.255.255.192");
    assert_eq!(shown[7], " ip route 198.18.0.0 0.0.0.63 198.18.0.65");
    assert_eq!(shown[8], " ipv6 address 2001:db8::1/64");
    assert_eq!(shown[9], " mac-address 02:00:00:00:00:01");
    assert_eq!(shown[10], " mac 0200.0000.0001", "the same card");
    assert_eq!(shown[11], "logging host n1.example.net");
    let name = shown[1].split(' ').nth(1).unwrap();
    assert!(
        shown[12].starts_with(&format!("ip ssh {name} ")),
        "the same name"
    );
    assert_eq!(own.check(&all), Ok(()));
    assert_eq!(own.check(text), Err(Left));
    assert_eq!(own.check("to 192.0.2.1"), Err(Left));
}

#[test]
fn scrambled_text_keeps_its_form_and_no_character() {
    let own = anonymiser();
    for text in [
        "Passw0rd!",
        "$6$salt$hash",
        "0822455D0A16",
        "deadbeef99",
        "Zürich",
    ] {
        let shown = own.scrambled(text);
        assert_eq!(shown.chars().count(), text.chars().count());
        assert_ne!(shown, text);
        assert_eq!(shown, own.scrambled(text));
        let head = text.rfind('$').map_or(0, |_| 3);
        for (at, (one, other)) in text.chars().zip(shown.chars()).enumerate() {
            let kept = at < head || at == 0 && "01".contains(one) || !one.is_alphanumeric();
            assert_eq!(one == other, kept, "{text} {shown} at {at}");
            assert_eq!(one.is_numeric(), other.is_numeric(), "{text} {shown}");
        }
    }
    assert_ne!(
        own.scrambled("abcdef"),
        Anonymiser::new(b"other", [], &[]).scrambled("abcdef")
    );
}

#[test]
fn what_needs_no_cover_stays() {
    let mut own = anonymiser();
    for line in [
        "interface GigabitEthernet0/1",
        " ip address 127.0.0.1 255.0.0.0",
        " network 0.0.0.0 255.255.255.255",
        "Cisco IOS Software, Version 15.2(7)E, RELEASE SOFTWARE (fc3)",
        "12:34:56 up 3 days",
        "router bgp 65001",
        " ipv6 route ::/0 Null0",
        "end",
    ] {
        assert_eq!(own.line(line), line);
    }
}

#[test]
fn text_of_a_banner_goes_and_its_end_stays() {
    let mut own = anonymiser();
    let text = [
        "banner motd ^C",
        "Acme Ltd, Berlin",
        "keep out ^C",
        "banner exec %only Acme%",
        "banner login",
        "of Acme",
        "EOF",
        "interface Vlan1",
    ];
    let shown = text.map(|line| own.line(line));
    assert!(
        !shown.concat().contains("Acme") && !shown.concat().contains("Berlin"),
        "{shown:?}"
    );
    assert!(
        shown[2].ends_with(" ^C") && shown[3].ends_with('%'),
        "{shown:?}"
    );
    assert_eq!(
        (shown[6].as_str(), shown[7].as_str()),
        ("EOF", "interface Vlan1")
    );
}
