//! Whose exchangers take the mail of a domain, as a small set of names: what an operator looks at
//! when mail does not arrive. Metrics, logs and reports go by it.

mod suffixes;

use postrider_model::Provider;

use crate::route::Host;
use suffixes::SUFFIXES;

/// Whose these exchangers are: the first one's of the best.
pub(crate) fn of(hosts: &[Host]) -> Provider {
    let best = hosts.iter().min_by_key(|host| host.preference);
    best.map_or(Provider::None, |host| of_name(&host.name))
}

/// Whose exchanger it is that has this name: by the longest suffix that is known, whole labels
/// only.
fn of_name(host: &str) -> Provider {
    let mut rest = host;
    loop {
        if let Ok(at) = SUFFIXES.binary_search_by(|(suffix, _)| (*suffix).cmp(rest)) {
            return SUFFIXES
                .get(at)
                .map_or(Provider::Other, |(_, found)| *found);
        }
        match rest.split_once('.') {
            Some((_, parent)) => rest = parent,
            None => return Provider::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exchangers_name_tells_its_provider() {
        for (name, want) in [
            ("aspmx.l.google.com", Provider::Google),
            ("gmail-smtp-in.l.google.com", Provider::Google),
            ("smtp.google.com", Provider::Google),
            ("aspmx2.googlemail.com", Provider::Google),
            (
                "outlook-com.olc.protection.outlook.com",
                Provider::Microsoft,
            ),
            (
                "contoso-com.mail.protection.outlook.com",
                Provider::Microsoft,
            ),
            ("contoso-com.o-v1.mx.microsoft", Provider::Microsoft),
            ("mta5.am0.yahoodns.net", Provider::Yahoo),
            ("mx-eu.mail.am0.yahoodns.net", Provider::Yahoo),
            ("mx01.mail.icloud.com", Provider::Apple),
            ("mx00.gmx.net", Provider::UnitedInternet),
            ("mx01.emig.gmx.net", Provider::UnitedInternet),
            ("mx-ha02.web.de", Provider::UnitedInternet),
            ("mx00.mail.com", Provider::UnitedInternet),
            ("mx00.ionos.co.uk", Provider::Ionos),
            ("mx01.ionos.de", Provider::Ionos),
            ("mx00.kundenserver.de", Provider::Ionos),
            ("mxint01.1and1.com", Provider::Ionos),
            ("smtpin.rzone.de", Provider::Strato),
            ("mx00.t-online.de", Provider::TOnline),
            ("mx.freenet.de", Provider::Freenet),
            ("smtp-in.orange.fr", Provider::Orange),
            ("mx1.free.fr", Provider::Free),
            ("smtp-in.sfr.fr", Provider::Sfr),
            ("smtpz4.laposte.net", Provider::LaPoste),
            ("mx0.mail.ovh.net", Provider::Ovh),
            ("mx1.ovh.net", Provider::Ovh),
            ("spool.mail.gandi.net", Provider::Gandi),
            ("mta-gw.infomaniak.ch", Provider::Infomaniak),
            ("mx-v02.bluewin.ch", Provider::Bluewin),
            ("mxbw.lb.bluewin.ch", Provider::Bluewin),
            ("mxbw-bluewin-ch.hdb-cs04.ellb.ch", Provider::Bluewin),
            ("mx1.mail.hostpoint.ch", Provider::Hostpoint),
            ("smtp-in.libero.it", Provider::Libero),
            ("mx.aruba.it", Provider::Aruba),
            ("mx1.pub.mailpod12-cph3.one.com", Provider::OneCom),
            ("smtp.europe.secureserver.net", Provider::GoDaddy),
            ("mail.protonmail.ch", Provider::Proton),
            ("mailsec.protonmail.ch", Provider::Proton),
            ("mx.zoho.eu", Provider::Zoho),
            ("eu-smtp-inbound-1.mimecast.com", Provider::Mimecast),
            ("mxa-00360101.gslb.pphosted.com", Provider::Proofpoint),
            ("mx1-eu1.ppe-hosted.com", Provider::Proofpoint),
            ("d1.ess.barracudanetworks.com", Provider::Barracuda),
            ("mx1.hc1234-56.iphmx.com", Provider::Cisco),
            ("mx01.hornetsecurity.com", Provider::Hornetsecurity),
        ] {
            assert_eq!(of_name(name), want, "{name}");
        }
    }

    #[test]
    fn only_whole_labels_at_the_end_of_a_name_tell_its_provider() {
        for name in [
            "mail.example.org",
            "mx.notgoogle.com",
            "google.com.example.org",
            "mx.kundenserver.de.example",
            "other-ch.hdb-cs04.ellb.ch",
            "localhost",
            "",
        ] {
            assert_eq!(of_name(name), Provider::Other, "{name}");
        }
    }

    #[test]
    fn the_best_exchanger_is_looked_at() {
        let host = |name: &str, preference| Host {
            name: name.to_owned(),
            preference,
            addresses: Vec::new(),
        };
        let backup = host("mx1.free.fr", 20);
        let best = host("alt1.aspmx.l.google.com", 10);
        assert_eq!(of(&[backup, best]), Provider::Google);
        assert_eq!(of(&[]), Provider::None);
    }

    #[test]
    fn the_suffixes_are_in_order_lowercase_and_each_provider_has_one() {
        assert!(SUFFIXES.is_sorted_by(|(one, _), (next, _)| one < next));
        for (suffix, _) in SUFFIXES {
            assert_eq!(*suffix, suffix.to_ascii_lowercase());
            assert!(!suffix.starts_with('.') && suffix.contains('.'), "{suffix}");
        }
        for provider in Provider::ALL {
            let known = SUFFIXES.iter().any(|(_, found)| found == provider);
            let rest = matches!(provider, Provider::Other | Provider::None);
            assert_eq!(known, !rest, "{provider:?}");
        }
    }
}
