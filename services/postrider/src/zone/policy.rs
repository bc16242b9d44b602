//! The MTA-STS policy (RFC 8461) of the domains that mail comes back to.

use postrider_model::Domain;

/// What `https://mta-sts.DOMAIN/.well-known/mta-sts.txt` answers (§3.2). Testing: senders report
/// what fails and deliver all the same, until the door for mail stands.
pub(crate) fn policy(host: &Domain) -> String {
    format!("version: STSv1\r\nmode: testing\r\nmx: {host}\r\nmax_age: 86400\r\n")
}

/// The host that shows a domain's policy.
pub(super) fn host(domain: &Domain) -> String {
    format!("mta-sts.{domain}")
}

/// Changes when the policy does (§3.1): whoever remembers one asks anew then.
pub(super) fn id(host: &Domain) -> String {
    // FNV-1a: the same from every release, and nobody is to be kept from finding another text.
    let fold = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let sum = policy(host).bytes().fold(0xcbf2_9ce4_8422_2325, fold);
    format!("{sum:016x}")
}
