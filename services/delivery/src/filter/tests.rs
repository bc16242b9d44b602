use super::*;

fn plain() -> Filter {
    Filter::new(Vec::new(), Vec::new())
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table of every range")]
fn every_closed_range_is_closed_from_its_first_to_its_last_address() {
    for (before, first, last, after) in [
        ("", "0.0.0.0", "0.255.255.255", "1.0.0.0"),
        ("9.255.255.255", "10.0.0.0", "10.255.255.255", "11.0.0.0"),
        (
            "100.63.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "100.128.0.0",
        ),
        (
            "126.255.255.255",
            "127.0.0.0",
            "127.255.255.255",
            "128.0.0.0",
        ),
        (
            "169.253.255.255",
            "169.254.0.0",
            "169.254.255.255",
            "169.255.0.0",
        ),
        (
            "172.15.255.255",
            "172.16.0.0",
            "172.31.255.255",
            "172.32.0.0",
        ),
        ("191.255.255.255", "192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.1.255", "192.0.2.0", "192.0.2.255", "192.0.3.0"),
        (
            "192.88.98.255",
            "192.88.99.0",
            "192.88.99.255",
            "192.88.100.0",
        ),
        (
            "192.167.255.255",
            "192.168.0.0",
            "192.168.255.255",
            "192.169.0.0",
        ),
        (
            "198.17.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.20.0.0",
        ),
        (
            "198.51.99.255",
            "198.51.100.0",
            "198.51.100.255",
            "198.51.101.0",
        ),
        (
            "203.0.112.255",
            "203.0.113.0",
            "203.0.113.255",
            "203.0.114.0",
        ),
        ("223.255.255.255", "224.0.0.0", "239.255.255.255", ""),
        ("", "240.0.0.0", "255.255.255.255", ""),
        ("", "::", "::ffff:ffff", "::1:0:0"),
        (
            "::fffe:ffff:ffff",
            "::ffff:0.0.0.0",
            "::ffff:255.255.255.255",
            "::1:0:0:0",
        ),
        (
            "64:ff9a:ffff::",
            "64:ff9b::",
            "64:ff9b::ffff:ffff",
            "64:ff9b::1:0:0",
        ),
        (
            "64:ff9b:0:ffff::",
            "64:ff9b:1::",
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            "64:ff9b:2::",
        ),
        (
            "ff:ffff::",
            "100::",
            "100::ffff:ffff:ffff:ffff",
            "100:0:0:1::",
        ),
        ("2000:ffff::", "2001::", "2001:1ff:ffff::", "2001:200::"),
        (
            "2001:db7:ffff::",
            "2001:db8::",
            "2001:db8:ffff::ffff",
            "2001:db9::",
        ),
        ("2001:ffff::", "2002::", "2002:ffff:ffff::", "2003::"),
        ("3ffe:ffff::", "3fff::", "3fff:fff:ffff::", "3fff:1000::"),
        ("5eff:ffff::", "5f00::", "5f00:ffff::", "5f01::"),
        ("fbff:ffff::", "fc00::", "fdff:ffff::ffff", "fe00::"),
        ("fe7f:ffff::", "fe80::", "febf:ffff::ffff", ""),
        ("", "fec0::", "feff:ffff::ffff", ""),
        ("", "ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", ""),
    ] {
        for closed in [first, last] {
            assert!(!plain().allows(closed.parse().unwrap()), "{closed}");
        }
        for open in [before, after].iter().filter(|ip| !ip.is_empty()) {
            assert!(plain().allows(open.parse().unwrap()), "{open}");
        }
    }
}

#[test]
fn an_allowed_network_opens_itself_and_nothing_that_hides_in_it() {
    let allow = ["127.0.0.0/8", "64:ff9b::/96", "2002::/16"];
    let allow = allow.map(|text| text.parse().unwrap()).to_vec();
    let filter = Filter::new(allow, vec!["127.0.0.9".parse().unwrap()]);
    for (ip, want) in [
        ("127.1.2.3", true),
        ("127.0.0.9", false),        // our own
        ("::ffff:127.1.2.3", false), // the mapped form was not opened
        ("64:ff9b::8.8.8.8", true),
        ("64:ff9b::127.1.2.3", true),
        ("64:ff9b::127.0.0.9", false), // our own, behind NAT64
        ("64:ff9b::10.0.0.1", false),
        ("2002:0a00:0001::1", false),
        ("2002:0808:0808::1", true),
        ("10.0.0.1", false),
        ("8.8.8.8", true),
    ] {
        assert_eq!(filter.allows(ip.parse().unwrap()), want, "{ip}");
    }
}

#[test]
fn networks_are_read_as_they_are_written() {
    for (given, want) in [
        ("127.0.0.0/8", "127.0.0.0/8"),
        ("192.0.2.7", "192.0.2.7/32"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("FD00::/8", "fd00::/8"),
        ("::1", "::1/128"),
    ] {
        assert_eq!(given.parse::<Network>().unwrap().to_string(), want);
    }
    for wrong in [
        "",
        "x",
        "127.0.0.0/",
        "127.0.0.0/33",
        "127.0.0.0/+8",
        "::/129",
        "1.2.3/8",
    ] {
        assert_eq!(
            wrong.parse::<Network>(),
            Err(NetworkError::Syntax(wrong.to_owned()))
        );
    }
    assert_eq!(
        "127.0.0.1/8".parse::<Network>().unwrap_err().to_string(),
        "the network 127.0.0.1/8 has bits set past its length, 127.0.0.0/8 is meant perhaps"
    );
}

proptest::proptest! {
    #[test]
    fn a_network_is_read_back_as_it_is_printed(bits: u128, length in 0_u8..=128) {
        let network = masked(Ipv6Addr::from_bits(bits).into(), length);
        let text = format!("{network}/{length}");
        proptest::prop_assert_eq!(text.parse::<Network>(), Ok(Network { network, length }));
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in "[0-9a-f:./]{0,24}") {
        let _read = text.parse::<Network>();
    }
}

#[test]
fn what_is_of_a_family_that_nobody_knows_us_by_is_not_dialled() {
    let parsed = |text: &str| text.parse::<IpAddr>().unwrap();
    let (v4, v6, private) = ("198.41.0.4", "2001:500:1::53", "10.0.0.1");
    let named = |all: &[&str]| {
        let all: Vec<_> = all.iter().map(|one| parsed(one)).collect();
        Filter::new(Vec::new(), Vec::new()).within(Families::of(&all))
    };
    for (egress, opens, other) in [
        (&[][..], vec![v4, v6], vec![]),
        (&["192.0.2.1"], vec![v4], vec![v6]),
        (&["2001:db8::1"], vec![v6], vec![v4]),
        (&["192.0.2.1", "2001:db8::1"], vec![v4, v6], vec![]),
    ] {
        let filter = named(egress);
        for ip in [v4, v6, private] {
            assert_eq!(filter.allows(parsed(ip)), opens.contains(&ip), "{ip}");
            let is_other = filter.is_of_another_family(parsed(ip));
            assert_eq!(is_other, other.contains(&ip), "{ip}");
        }
    }
}
