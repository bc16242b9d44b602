//! From a parsed command to the verb that a relay is asked.

use anyhow::bail;

use crate::admin::{AddedTenant, Verb};
use crate::cli::{DkimCommand, Place, SendArgs, TenantCommand};

/// A tenant's verbs.
pub(super) fn tenant(command: TenantCommand) -> anyhow::Result<(Place, Verb)> {
    Ok(match command {
        TenantCommand::Add {
            name,
            reply_to,
            language,
            vouched,
            vendor,
            licence,
            plan,
            place,
        } => {
            let verb = Verb::TenantAdd(AddedTenant {
                name,
                reply_to,
                language,
                vouched,
                vendor,
                licence,
                plan,
            });
            (place, verb)
        }
        TenantCommand::Import(_) => bail!("an import is many verbs"),
        TenantCommand::List { vendor, place } => (place, Verb::TenantList { vendor }),
        TenantCommand::Show { which } => (
            which.place,
            Verb::TenantShow {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Suspend { which } => (
            which.place,
            Verb::TenantSuspend {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Resume { which } => (
            which.place,
            Verb::TenantResume {
                tenant: which.tenant,
            },
        ),
        TenantCommand::Limit(args) => args.parts(),
        TenantCommand::Set(args) => args.parts(),
        TenantCommand::ReplyTo(command) => command.parts(),
    })
}

/// A signing key's verbs.
pub(super) fn dkim(command: DkimCommand) -> (Place, Verb) {
    match command {
        DkimCommand::Show { place } => (place, Verb::DkimShow),
        DkimCommand::Add { place } => (place, Verb::DkimAdd),
        DkimCommand::Revoke { selector, place } => (place, Verb::DkimRevoke { selector }),
    }
}

/// A message to send.
pub(super) fn send(args: SendArgs) -> (Place, Verb) {
    let (tenant, to, subject, text) = (args.tenant, args.to, args.subject, args.text);
    let verb = Verb::Send {
        tenant,
        to,
        subject,
        text,
    };
    (args.place, verb)
}
