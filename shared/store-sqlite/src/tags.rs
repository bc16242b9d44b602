//! Tags of new messages, as lists look for them.

use postrider_model::{MessageId, TenantId};
use postrider_store::NewMessage;
use serde::Serialize;
use sqlx::SqliteConnection;

use crate::fault::Fault;
use crate::rows::json;

#[derive(Serialize)]
struct TagRow<'m> {
    tenant: TenantId,
    name: &'m str,
    value: &'m str,
    stream: &'static str,
    message: MessageId,
}

/// Writes the tags of messages that were just written.
pub(crate) async fn insert(
    connection: &mut SqliteConnection,
    messages: &[&NewMessage],
) -> Result<(), Fault> {
    let rows: Vec<TagRow<'_>> = messages.iter().flat_map(|message| rows(message)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    // A message that has a tag twice has it once.
    sqlx::query(
        "INSERT INTO message_tags (tenant, name, value, stream, message)
         WITH x AS MATERIALIZED (SELECT value FROM jsonb_each(?1))
         SELECT unhex(value ->> 'tenant', '-'), value ->> 'name', value ->> 'value',
             value ->> 'stream', unhex(value ->> 'message', '-')
         FROM x WHERE true ON CONFLICT DO NOTHING",
    )
    .bind(json(&rows)?)
    .execute(connection)
    .await?;
    Ok(())
}

fn rows(message: &NewMessage) -> impl Iterator<Item = TagRow<'_>> {
    message.summary.tags.iter().map(|tag| TagRow {
        tenant: message.tenant,
        name: &tag.name,
        value: &tag.value,
        stream: message.summary.stream.as_str(),
        message: message.id,
    })
}
