use super::*;

#[test]
fn the_documented_file_says_what_the_defaults_are() {
    let documented = Config::parse(DEFAULT, Path::new("")).unwrap();
    assert_eq!(documented, Config::default());
}

#[test]
fn links_point_to_the_service_unless_it_is_said_where() {
    for (text, want, host) in [
        ("", "https://relay.example", "relay.example"),
        (
            "[http]\npublic_url = \"https://mail.example/\"\n",
            "https://mail.example",
            "mail.example",
        ),
        (
            "[http]\npublic_url = \"http://10.0.0.1:8025\"\n",
            "http://10.0.0.1:8025",
            "10.0.0.1",
        ),
        (
            "[http]\npublic_url = \"https://[2001:db8::1]:8443/mail\"\n",
            "https://[2001:db8::1]:8443/mail",
            "2001:db8::1",
        ),
    ] {
        let config = Config::parse(text, Path::new("")).unwrap();
        assert_eq!(config.public_url(), want, "{text}");
        assert_eq!(config.http_host(), host, "{text}");
    }
}

#[test]
fn a_key_that_is_not_known_is_refused_with_its_line() {
    for (text, says) in [
        ("[http]\nlisten = [\"127.0.0.1:1\"]\nlissen = 1\n", "line 3"),
        ("[htpp]\n", "line 1"),
        ("\n[delivery]\nport = \"smtp\"\n", "line 3"),
        ("[service]\nhost = \"a b\"\n", "line 2"),
        ("[http]\nlisten = []\n", "http.listen"),
        ("[http]\ntls_key = \"k\"\n", "http.tls_certificate"),
        (
            "[http]\ntls_certificate = \"c\"\ntls_key = \"k\"\ncertificates = [{ certificate = \"c\", key = \"k\" }]\n",
            "http.certificates",
        ),
        ("[database]\nurl = \"mysql://x\"\n", "sqlite://PATH"),
        (
            "[database]\nurl = \"postgres://me:secret@db/mail\"\n",
            "database.password_file",
        ),
        ("[delivery]\nnode = \"a b\"\n", "delivery.node"),
        ("[log]\nfilter = \"loud\"\n", "log.filter"),
        (
            "[delivery]\nallow_destinations = [\"x\"]\n",
            "delivery.allow_destinations",
        ),
        (
            "[limits]\nlifetime_hours = 9223372036854775807\n",
            "limits.lifetime_hours",
        ),
        ("[dns]\ntimeout_seconds = 0\n", "dns.timeout_seconds"),
        (
            "[http]\npublic_url = \"relay.example\"\n",
            "http.public_url",
        ),
        ("[smtp]\nenabled = true\n", "smtp.certificates"),
        ("[smtp]\nenabled = true\nlisten = []\n", "smtp.listen"),
        ("[smtp]\nlisten = [{ address = \"0.0.0.0\" }]\n", "line 2"),
        (
            "[smtp]\nlisten = [{ address = \"0.0.0.0:25\", banner_after_ms = 60000 }]\n",
            "0.0.0.0:25 is 60000",
        ),
        ("[smtp]\nidle_seconds = 0\n", "smtp.idle_seconds"),
        ("[names]\npolicy = \"drop\"\n", "line 2"),
        ("[names]\nbrands = [\"  \"]\n", "names.brands"),
        ("[ramp]\nfirst_day = 0\n", "ramp.first_day"),
        (
            "[simulator]\ndomain = \"send.relay.example\"\n",
            "simulator.domain",
        ),
        ("[operator]\ncontact = \"me\"\n", "operator.contact"),
        ("[operator]\nreports = \"me\"\n", "operator.reports"),
        ("[[egress]]\naddress = \"::1\"\n", "egress.address"),
        ("[[egress]]\naddress = \"relay\"\n", "line 2"),
        ("[inbound]\nenabled = true\nlisten = []\n", "inbound.listen"),
        (
            "[doctor]\ntime_servers = [\"ntp\"]\n",
            "doctor.time_servers",
        ),
        ("[doctor]\nevery_minutes = 0\n", "doctor.every_minutes"),
    ] {
        let fault = format!("{:#}", Config::parse(text, Path::new("")).unwrap_err());
        assert!(fault.contains(says), "{text}: {fault}");
    }
}
