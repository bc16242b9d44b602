//! Who takes mail for others.

use crate::state::words;

words!(
    /// Who runs the exchangers that a domain's mail goes to, of a small set: what metrics, logs and
    /// reports go by. Nothing is decided by it.
    Provider {
        Google = "google",
        Microsoft = "microsoft",
        /// Yahoo and AOL.
        Yahoo = "yahoo",
        Apple = "apple",
        /// GMX, WEB.DE, mail.com.
        UnitedInternet = "united_internet",
        /// IONOS, 1&1.
        Ionos = "ionos",
        Strato = "strato",
        TOnline = "t_online",
        Freenet = "freenet",
        /// Orange and Wanadoo.
        Orange = "orange",
        Free = "free",
        Sfr = "sfr",
        LaPoste = "laposte",
        Ovh = "ovh",
        Gandi = "gandi",
        Infomaniak = "infomaniak",
        /// Swisscom.
        Bluewin = "bluewin",
        Hostpoint = "hostpoint",
        Aruba = "aruba",
        /// Libero and Virgilio.
        Libero = "libero",
        OneCom = "one_com",
        GoDaddy = "godaddy",
        Proton = "proton",
        Zoho = "zoho",
        Mimecast = "mimecast",
        Proofpoint = "proofpoint",
        Barracuda = "barracuda",
        Cisco = "cisco",
        Hornetsecurity = "hornetsecurity",
        /// Everybody else.
        Other = "other",
        /// There was no exchanger: no route, or the mail did not come that far.
        None = "none",
    }
);
