//! The body of a submission, with room in memory for it taken first.

use std::io::Read;

use bytes::{Bytes, BytesMut};
use flate2::bufread::GzDecoder;
use postrider_gate::{Budget, Reservation};
use postrider_http::{Body, BodyError, Problem};
use postrider_model::TenantId;

use crate::http::headers::Coding;
use crate::refusal;

/// A body and the room it takes, given back when this is dropped.
pub(crate) struct Taken {
    pub(crate) bytes: Bytes,
    pub(crate) room: Reservation,
}

/// Of a body whose length is known so much is read before there is room for all of it.
const BEGINNING: u64 = 16 * 1024;
/// A body without a length takes room in these steps, and so does what a packed one unfolds into.
const STEP: u64 = 256 * 1024;
/// Members of a packed body. One has 20 bytes at least: of two million without any content each
/// costs work. Packers that cut in blocks make one of 64 KiB or more.
const MEMBERS_MOST: usize = 4_096;

/// Reads a body of at most `most` bytes, packed and unpacked. Nothing but its beginning is read
/// before there is room for it.
pub(crate) async fn read(
    body: &mut Body,
    coding: Coding,
    (budget, tenant): (&Budget, TenantId),
    most: u64,
) -> Result<Taken, Problem> {
    let taken = read_as_sent(body, (budget, tenant), most).await?;
    match coding {
        Coding::Identity => Ok(taken),
        Coding::Gzip => unpacked(taken, most).await,
    }
}

async fn read_as_sent(
    body: &mut Body,
    (budget, tenant): (&Budget, TenantId),
    most: u64,
) -> Result<Taken, Problem> {
    let Some(length) = body.declared_length() else {
        return read_in_steps(body, (budget, tenant), most).await;
    };
    if length > most {
        return Err(BodyError::TooLarge { most }.into());
    }
    // Who only announces a large body holds no room for it.
    let mut bytes = BytesMut::new();
    if length > BEGINNING {
        while (bytes.len() as u64) < BEGINNING
            && let Some(chunk) = body.chunk(most).await?
        {
            bytes.extend_from_slice(&chunk);
        }
    }
    let room = budget.reserve(tenant, length).await;
    let room = room.map_err(refusal::of_budget)?;
    if bytes.is_empty() {
        let bytes = body.read(most).await?;
        return Ok(Taken { bytes, room });
    }
    let missing = length.saturating_sub(bytes.len() as u64);
    bytes.reserve(usize::try_from(missing).unwrap_or_default());
    while let Some(chunk) = body.chunk(most).await? {
        bytes.extend_from_slice(&chunk);
    }
    let bytes = bytes.freeze();
    Ok(Taken { bytes, room })
}

// Some SDKs send everything in chunks.
async fn read_in_steps(
    body: &mut Body,
    (budget, tenant): (&Budget, TenantId),
    most: u64,
) -> Result<Taken, Problem> {
    let mut held = STEP;
    let room = budget.reserve(tenant, held).await;
    let mut room = room.map_err(refusal::of_budget)?;
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
    let bytes = bytes.freeze();
    Ok(Taken { bytes, room })
}

// RFC 1952, several members among it. Room is taken for each step before it is unfolded, so that
// a few bytes cannot become many (`most` is the end of it in any case).
async fn unpacked(packed: Taken, most: u64) -> Result<Taken, Problem> {
    let size = packed.bytes.len() as u64;
    let mut unfolded = Unfolded {
        bytes: Vec::new(),
        room: packed.room,
        held: 0,
    };
    let mut rest = &packed.bytes[..];
    for _ in 0..MEMBERS_MOST {
        rest = unfolded.add(rest, most).await?;
        if rest.is_empty() {
            let Unfolded {
                bytes, mut room, ..
            } = unfolded;
            room.shrink(size);
            let bytes = bytes.into();
            return Ok(Taken { bytes, room });
        }
    }
    Err(too_many_members())
}

struct Unfolded {
    bytes: Vec<u8>,
    room: Reservation,
    /// Of the room, what is for `bytes`.
    held: u64,
}

impl Unfolded {
    /// Unfolds the member at the beginning; gives what is behind it.
    async fn add<'p>(&mut self, packed: &'p [u8], most: u64) -> Result<&'p [u8], Problem> {
        let mut member = GzDecoder::new(packed);
        loop {
            if self.bytes.len() as u64 + STEP > self.held {
                self.room.grow(STEP).await.map_err(refusal::of_budget)?;
                self.held += STEP;
            }
            let step = member.by_ref().take(STEP).read_to_end(&mut self.bytes);
            let step = step.map_err(|error| broken(&error))?;
            if self.bytes.len() as u64 > most {
                return Err(too_large(most));
            }
            if step == 0 {
                return Ok(member.into_inner());
            }
            // Each step is some hundred microseconds of work.
            tokio::task::yield_now().await;
        }
    }
}

fn broken(error: &std::io::Error) -> Problem {
    let message =
        format!("The body is not whole gzip ({error}); pack it again or send it as it is.");
    Problem::new(400, "validation_error", message)
}

fn too_large(most: u64) -> Problem {
    let message = format!(
        "The body has more than {most} bytes when it is unpacked; send less in one request."
    );
    Problem::new(413, "validation_error", message)
}

fn too_many_members() -> Problem {
    let message = format!(
        "The body is packed in more than {MEMBERS_MOST} members; pack it as one, or send it as it is."
    );
    Problem::new(400, "validation_error", message)
}
