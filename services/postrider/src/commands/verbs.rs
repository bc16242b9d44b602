//! From a parsed command to the verb that a relay is asked.

use anyhow::bail;
use postrider_model::Authority;

use crate::admin::{AddedTenant, TraceAct, Verb};
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
                by: Authority::Operator,
            },
        ),
        TenantCommand::Resume { which } => (
            which.place,
            Verb::TenantResume {
                tenant: which.tenant,
                by: Authority::Operator,
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
    // clap asks for all three where nothing is followed.
    let verb = Verb::Send {
        tenant: args.tenant.unwrap_or_default(),
        to: args.to,
        subject: args.subject.unwrap_or_default(),
        text: args.text.unwrap_or_default(),
    };
    (args.place, verb)
}

/// A message to send and to follow.
pub(super) fn trace(args: SendArgs) -> anyhow::Result<(Place, Verb)> {
    let Ok([to]) = <[_; 1]>::try_from(args.to) else {
        bail!("--trace follows a message to one recipient: give --to once");
    };
    let act = TraceAct::Send {
        tenant: args.tenant,
        to,
        subject: args.subject,
        text: args.text,
    };
    Ok((args.place, Verb::Trace { act }))
}
