//! What keeps mail from leaving whatever its time: who stopped it, and which verb lets it go. One place
//! for all who ask: `find`, the verbs about the queue, the doors, the admin API.

mod cause;

use std::sync::Arc;

use postrider_delivery::WayOut;
use postrider_model::{
    CredentialId, Domain, EmailAddress, MessageId, TenantId, TenantStatus, Timestamp, WaitCause,
};
use postrider_store::{
    self as store, Apart, Control, ControlVerb, Controls, Queued, Roster, Scope, StoreError,
};

pub(crate) use cause::cause;

/// Our code for what waits since nothing may leave this machine, in front of an event's note.
const SHUT: &str = "4.3.5 ";

/// All that is stopped at one moment.
pub(crate) struct Holds {
    roster: Roster,
    suspensions: Vec<Control>,
    outlook: Outlook,
}

/// What a process knows beside the database.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outlook {
    /// The domain whose mail stays on this machine: nobody's word and no finding keeps it.
    pub(crate) simulator: Option<Domain>,
    /// Whether mail may leave, where this process delivers all of it: where others deliver too, each has
    /// its own. Without it, what was noted tells.
    pub(crate) way_out: Option<WayOut>,
}

/// What is asked about: a recipient, or what is known of it.
#[derive(Clone, Copy)]
pub(crate) struct Mail<'a> {
    pub(crate) tenant: TenantId,
    pub(crate) message: Option<MessageId>,
    pub(crate) domain: Option<&'a Domain>,
    /// The key it was handed in with.
    pub(crate) key: Option<CredentialId>,
    /// Whom its Reply-To and its requests for receipts name, as delivery reads them; empty where nobody
    /// of its tenant said no.
    pub(crate) answers: &'a [EmailAddress],
    /// What it waited for last, and what was noted of it then.
    pub(crate) cause: Option<WaitCause>,
    pub(crate) note: Option<&'a str>,
    /// Its time has come.
    pub(crate) is_due: bool,
}

/// One thing that stops it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hold {
    /// Its tenant is suspended: the slug.
    Tenant(String),
    /// Its tenant's vendor is: the slug.
    Vendor(String),
    /// The key it came in by is: its id, and as `key list` shows it.
    Key { id: String, name: String },
    /// Answers or receipts would go to this address, whose owner does not know the tenant, by its slug.
    Owner { tenant: String, address: String },
    /// `queue suspend` of this, named as the command names it.
    Queue { about: &'static str, which: String },
    /// Nothing may leave the machine that has it, for this reason; `None` where it is not known, and DNS
    /// may have had no answer a moment ago instead.
    Doctor(Option<String>),
}

impl Holds {
    /// As it stands now.
    pub(crate) async fn read(
        controls: &dyn Controls,
        roster: &Roster,
        outlook: Outlook,
    ) -> Result<Self, StoreError> {
        let mut suspensions = controls.controls().await?;
        suspensions.retain(|control| control.verb == ControlVerb::Suspend);
        Ok(Self {
            roster: roster.clone(),
            suspensions,
            outlook,
        })
    }

    /// All that stops it, whoever is higher first; empty where it goes at its time.
    pub(crate) fn over(&self, mail: &Mail<'_>) -> Vec<Hold> {
        let tenant = self.roster.tenant(mail.tenant);
        let vendor = tenant
            .as_ref()
            .and_then(|tenant| self.roster.vendor(tenant.vendor));
        let mut holds = Vec::new();
        holds.extend(self.shut(mail));
        if let Some(vendor) = vendor.filter(|vendor| !vendor.is_active()) {
            holds.push(Hold::Vendor(vendor.slug.clone()));
        }
        if let Some(tenant) = tenant.filter(|tenant| tenant.status == TenantStatus::Suspended) {
            holds.push(Hold::Tenant(tenant.slug.clone()));
        }
        let key = mail
            .key
            .filter(|key| self.roster.suspended_keys().contains_key(key));
        holds.extend(key.map(|key| self.of_key(key)));
        holds.extend(self.owner(mail));
        let standing = self.suspensions.iter();
        let standing = standing.filter(|control| self.concerns(&control.scope, mail));
        holds.extend(standing.map(|control| self.of_queue(&control.scope)));
        holds
    }

    /// Those that concern some of a message, with the domain that is meant alone, and since when.
    pub(crate) fn concerning(
        &self,
        tenant: TenantId,
        message: MessageId,
    ) -> Vec<(Option<Domain>, Timestamp)> {
        let mail = Mail {
            message: Some(message),
            ..Mail::of(tenant)
        };
        let concerns = |control: &Control| match &control.scope {
            Scope::Domain(domain) => Some((Some(domain.clone()), control.at)),
            scope => self.concerns(scope, &mail).then_some((None, control.at)),
        };
        self.suspensions.iter().filter_map(concerns).collect()
    }

    /// What of the queue has to be counted apart, for that it may be stopped alone.
    pub(crate) fn apart(&self) -> Apart {
        let mut apart = Apart::default();
        for control in &self.suspensions {
            match &control.scope {
                Scope::Message(message) => apart.messages.push(*message),
                Scope::Domain(domain) => apart.domains.push(domain.clone()),
                Scope::Tenant(_) | Scope::Vendor(_) => {}
            }
        }
        // What stays here goes where other mail does not.
        apart.domains.extend(self.outlook.simulator.clone());
        apart.keys_of = self.roster.suspended_keys().values().copied().collect();
        apart.keys_of.sort_unstable();
        apart.keys_of.dedup();
        apart
    }

    /// Whom answers to a message go to, of a tenant of whom somebody said no; of others nothing is read.
    pub(crate) async fn answers(
        &self,
        mail: &dyn store::Mail,
        (tenant, message): (TenantId, MessageId),
    ) -> Result<Vec<EmailAddress>, StoreError> {
        if !self.roster.disowned().contains_key(&tenant) {
            return Ok(Vec::new());
        }
        let body = mail.body(tenant, message).await?;
        let named = body.map(|bytes| postrider_message::answers_to(&bytes));
        Ok(named.unwrap_or_default())
    }

    /// Why nothing may leave, where that is known here.
    pub(crate) fn closed(&self) -> Option<Arc<str>> {
        self.outlook.way_out.as_ref()?.reason()
    }

    /// The reply addresses of a tenant whose owners do not know it, folded, where what waits may name one:
    /// that is found out by looking into it.
    pub(crate) fn disowned(&self, mail: &Mail<'_>) -> Vec<String> {
        if self.stays_here(mail) {
            return Vec::new();
        }
        let disowned = self.roster.disowned();
        let disowned = disowned.get(&mail.tenant).into_iter().flatten();
        disowned.cloned().collect()
    }

    /// Whether it is to the simulator, which meets nobody.
    fn stays_here(&self, mail: &Mail<'_>) -> bool {
        mail.domain.is_some() && mail.domain == self.outlook.simulator.as_ref()
    }

    fn shut(&self, mail: &Mail<'_>) -> Option<Hold> {
        if self.stays_here(mail) {
            return None;
        }
        if self.outlook.way_out.is_some() {
            let why = self.closed()?;
            return Some(Hold::Doctor(Some(why.to_string())));
        }
        // What was turned back stays due; what DNS did not answer is due later.
        match mail.note.filter(|_| mail.cause == Some(WaitCause::NoRoute)) {
            Some(note) => {
                let why = note.strip_prefix(SHUT)?;
                Some(Hold::Doctor(Some(why.to_owned())))
            }
            None if mail.cause == Some(WaitCause::NoRoute) && mail.is_due => {
                Some(Hold::Doctor(None))
            }
            None => None,
        }
    }

    /// Whoever answers would go to and who has said no, as delivery finds it when it opens the message.
    fn owner(&self, mail: &Mail<'_>) -> Option<Hold> {
        if self.stays_here(mail) {
            return None;
        }
        let disowned = self.roster.disowned();
        let disowned = disowned.get(&mail.tenant)?;
        let mut named = mail.answers.iter();
        let no = named.find(|one| disowned.contains(&one.folded()))?;
        Some(Hold::Owner {
            tenant: named_tenant(&self.roster, mail.tenant),
            address: no.to_string(),
        })
    }

    fn concerns(&self, scope: &Scope, mail: &Mail<'_>) -> bool {
        match scope {
            Scope::Tenant(id) => *id == mail.tenant,
            Scope::Vendor(id) => {
                let tenant = self.roster.tenant(mail.tenant);
                tenant.is_some_and(|tenant| tenant.vendor == *id)
            }
            Scope::Message(id) => Some(*id) == mail.message,
            Scope::Domain(domain) => Some(domain) == mail.domain,
        }
    }

    fn of_key(&self, id: CredentialId) -> Hold {
        let known = self.roster.credential_of_id(id);
        let name = known.map(|key| match (key.prefix.as_str(), &key.user) {
            ("", None) => id.to_string(),
            ("", Some(user)) => format!("of the user {user}"),
            (prefix, None) => format!("{prefix}…"),
            (prefix, Some(user)) => format!("{prefix}… of the user {user}"),
        });
        Hold::Key {
            id: id.to_string(),
            name: name.unwrap_or_else(|| id.to_string()),
        }
    }

    fn of_queue(&self, scope: &Scope) -> Hold {
        let (about, which) = named(&self.roster, scope);
        Hold::Queue { about, which }
    }
}

/// A scope as commands name it: `tenant`, `vendor`, `domain` or `message`, and the slug, domain or id.
pub(crate) fn named(roster: &Roster, scope: &Scope) -> (&'static str, String) {
    match scope {
        Scope::Tenant(id) => ("tenant", named_tenant(roster, *id)),
        Scope::Vendor(id) => {
            let slug = roster.vendor(*id).map(|vendor| vendor.slug.clone());
            ("vendor", slug.unwrap_or_else(|| id.to_string()))
        }
        Scope::Domain(domain) => ("domain", domain.to_string()),
        Scope::Message(id) => ("message", id.to_string()),
    }
}

fn named_tenant(roster: &Roster, id: TenantId) -> String {
    let slug = roster.tenant(id).map(|tenant| tenant.slug.clone());
    slug.unwrap_or_else(|| id.to_string())
}

impl<'a> Mail<'a> {
    /// Any mail of a tenant.
    pub(crate) fn of(tenant: TenantId) -> Self {
        Self {
            tenant,
            message: None,
            domain: None,
            key: None,
            answers: &[],
            cause: None,
            note: None,
            is_due: false,
        }
    }

    /// What was counted.
    pub(crate) fn counted(queued: &'a Queued) -> Self {
        Self {
            message: queued.message,
            domain: queued.domain.as_ref(),
            key: queued.credential,
            cause: Some(queued.cause),
            is_due: queued.is_due,
            ..Self::of(queued.tenant)
        }
    }
}

impl Hold {
    /// What it is by, in one word: for programs.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Tenant(_) => "tenant",
            Self::Vendor(_) => "vendor",
            Self::Key { .. } => "key",
            Self::Owner { .. } => "owner",
            Self::Queue { .. } => "queue",
            Self::Doctor(_) => "doctor",
        }
    }

    /// What it is by, for people: it stands behind «for».
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Tenant(slug) => format!("its tenant {slug} is suspended"),
            Self::Vendor(slug) => format!("its vendor {slug} is suspended"),
            Self::Key { name, .. } => format!("the key {name} that it came in by is suspended"),
            Self::Owner { tenant, address } => {
                format!(
                    "answers or receipts would go to {address}, whose owner does not know {tenant}"
                )
            }
            Self::Queue { about, which } => {
                format!("the queue of the {about} {which} is suspended")
            }
            Self::Doctor(Some(why)) => format!("nothing may leave this relay ({why})"),
            Self::Doctor(None) => {
                "nothing may leave this relay, or DNS has just not told where its mail goes"
                    .to_owned()
            }
        }
    }

    /// As `sentence`, without what `postrider doctor` found: for a place that tells of that elsewhere.
    pub(crate) fn briefly(&self) -> String {
        match self {
            Self::Doctor(_) => "nothing may leave this relay".to_owned(),
            _ => self.sentence(),
        }
    }

    /// The command that lets it go.
    pub(crate) fn release(&self) -> String {
        match self {
            Self::Tenant(slug) => format!("postrider tenant resume {slug}"),
            Self::Vendor(slug) => format!("postrider vendor resume {slug}"),
            Self::Key { id, .. } => format!("postrider key resume {id}"),
            Self::Owner { tenant, address } => {
                format!("postrider reply confirm {tenant} {address}")
            }
            Self::Queue { about, which } => format!("postrider queue resume --{about} {which}"),
            Self::Doctor(_) => "postrider doctor".to_owned(),
        }
    }

    /// As `sentence`, for a vendor: the operator's findings are not theirs to mend.
    pub(crate) fn for_vendor(&self) -> String {
        match self {
            Self::Doctor(_) => {
                "nothing leaves the service for now, until its operator mends it".to_owned()
            }
            _ => self.sentence(),
        }
    }

    /// The command for a message of its own, as a sentence.
    pub(crate) fn remedy(&self, message: MessageId) -> String {
        match self {
            Self::Doctor(_) => {
                "`postrider doctor` says what to mend; then it goes by itself.".to_owned()
            }
            Self::Owner { .. } => format!(
                "`{}` takes their no back, if they say so, and what is past its time expires then; else `postrider queue cancel --message {message}` ends it.",
                self.release()
            ),
            _ => format!(
                "`{}` lets it go; what is past its time expires then.",
                self.release()
            ),
        }
    }
}

/// What all of them are by, in one sentence without its end.
pub(crate) fn together(holds: &[Hold]) -> String {
    let sentences: Vec<_> = holds.iter().map(Hold::sentence).collect();
    sentences.join(", and ")
}

#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use tests::eva;
