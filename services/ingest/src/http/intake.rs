//! The body of a submission, with room in memory for it taken first.

use bytes::{Bytes, BytesMut};
use postrider_gate::{Budget, Reservation};
use postrider_http::{Body, Problem};
use postrider_model::TenantId;

use crate::refusal;

/// A body and the room it takes, given back when this is dropped.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    pub(crate) room: Reservation,
}

// A body without a length takes room in these steps: some SDKs send everything in chunks.
const STEP: u64 = 256 * 1024;

/// Reads a body of at most `most` bytes. Nothing is read before there is room for it.
pub(crate) async fn read(
    body: &mut Body,
    budget: &Budget,
    tenant: TenantId,
    most: u64,
) -> Result<Taken, Problem> {
    let declared = body.declared_length();
    if declared.is_some_and(|length| length > most) {
        return Err(postrider_http::BodyError::TooLarge { most }.into());
    }
    let mut held = declared.unwrap_or(STEP);
    let mut room = budget
        .reserve(tenant, held)
        .await
        .map_err(refusal::of_budget)?;
    if declared.is_some() {
        return Ok(Taken {
            bytes: body.read(most).await?,
            room,
        });
    }
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.chunk(most).await? {
        let needed = (bytes.len() + chunk.len()) as u64;
        if needed > held {
            let more = (needed - held).div_ceil(STEP) * STEP;
            room.grow(more).await.map_err(refusal::of_budget)?;
            held += more;
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Taken {
        bytes: bytes.freeze(),
        room,
    })
}
