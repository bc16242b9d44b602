//! The defaults, as `default.toml` documents them; a test holds the two together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use postrider_model::Domain;

use super::{
    AcmeConfig, AdminConfig, DatabaseConfig, DeliveryConfig, Dial, DnsConfig, DoctorConfig,
    EnrolmentConfig, HttpConfig, InboundConfig, LimitsConfig, LogConfig, LogWord, MetricsConfig,
    NameWord, NamesConfig, NoticesConfig, RampConfig, RepliesConfig, RetentionConfig,
    ServiceConfig, ShutdownConfig, SmtpConfig, SmtpPort, TenantsConfig,
};

impl Default for ServiceConfig {
    fn default() -> Self {
        Self {
            host: example(""),
            send_domain: example("send."),
            bounce_domain: example("bounce."),
            master_key: PathBuf::from("master.key"),
        }
    }
}

fn example(prefix: &str) -> Domain {
    known(&format!("{prefix}relay.example"))
}

#[expect(clippy::unwrap_used, reason = "constant names, seen at every start")]
fn known(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

fn anywhere(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port)
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        Self {
            url: "sqlite://postrider.db".to_owned(),
            connections: 16,
            password_file: PathBuf::new(),
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: vec![loopback(8025)],
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
            certificates: Vec::new(),
            public_url: String::new(),
            max_connections: 4096,
            max_connections_of_one: 1024,
        }
    }
}

impl Default for SmtpConfig {
    fn default() -> Self {
        let port = |port, banner_after_ms| SmtpPort {
            address: anywhere(port),
            banner_after_ms,
        };
        Self {
            enabled: false,
            // Programs set to «SSL» on 465 may take their time for the first byte.
            listen: vec![port(465, 3_000), port(587, 150), port(2525, 150)],
            certificates: Vec::new(),
            max_connections: 4_096,
            max_connections_of_one: 2_048,
            idle_seconds: 300,
            session_minutes: 30,
            bytes_per_second: 500,
            wrong_password_ms: 1_000,
            refusals_url: String::new(),
        }
    }
}

impl Default for InboundConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: vec![anywhere(25)],
        }
    }
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            directory: String::new(),
            contact: String::new(),
            listen: vec![anywhere(80)],
            root: PathBuf::new(),
        }
    }
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: loopback(8026),
            tls_certificate: PathBuf::new(),
            tls_key: PathBuf::new(),
        }
    }
}

impl Default for DoctorConfig {
    fn default() -> Self {
        Self {
            every_minutes: 10,
            probe_domains: vec![known("gmail.com"), known("outlook.com")],
            dnsbls: Vec::new(),
            time_servers: vec!["pool.ntp.org:123".to_owned()],
            clock_seconds: 60,
            certificate_days: 14,
        }
    }
}

impl Default for EnrolmentConfig {
    fn default() -> Self {
        Self {
            smtp_host: String::new(),
            smtp_ports: Vec::new(),
            overlap_days: 7,
        }
    }
}

impl Default for NamesConfig {
    fn default() -> Self {
        Self {
            policy: NameWord::Replace,
            known_brands: true,
            brands: Vec::new(),
        }
    }
}

impl Default for RepliesConfig {
    fn default() -> Self {
        Self {
            new_per_day: 5,
            pause_days: 7,
            unconfirmed_most: 20,
        }
    }
}

impl Default for NoticesConfig {
    fn default() -> Self {
        Self {
            per_hour: 4,
            gather_seconds: 30,
        }
    }
}

impl Default for RampConfig {
    fn default() -> Self {
        Self {
            first_day: 50,
            new_recipients_per_hour: 25,
            new_for_days: 7,
            plan: 10_000,
        }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: loopback(9125),
        }
    }
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout_seconds: 5,
        }
    }
}

impl Default for DeliveryConfig {
    fn default() -> Self {
        Self {
            port: 25,
            allow_destinations: Vec::new(),
            dial: Dial::Internet,
            despite_findings: false,
            in_flight: 200,
            retry_divisor: 1,
            journal: PathBuf::from("delivery.journal"),
            node: String::new(),
            rows_in_memory: 300_000,
            site_connections: 10,
            clock_offset_ms: 500,
        }
    }
}

impl Default for LimitsConfig {
    fn default() -> Self {
        Self {
            message_bytes: 41_943_040,
            request_bytes: 41_943_040,
            http_recipients: 50,
            recipients: 1_000,
            schedule_days: 30,
            lifetime_hours: 72,
            memory_bytes: 268_435_456,
            free_space_bytes: 268_435_456,
        }
    }
}

impl Default for TenantsConfig {
    fn default() -> Self {
        Self {
            vouched: false,
            requests_per_second: 10,
            per_minute: 0,
            burst: 0,
            bulk_per_minute: 0,
            connections: 0,
            per_day: 0,
            per_month: 0,
        }
    }
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            body_hours: 24,
            message_days: 30,
        }
    }
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            format: LogWord::Text,
            filter: "info".to_owned(),
        }
    }
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_seconds: 30 }
    }
}
